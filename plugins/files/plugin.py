"""The plugin Files: browse, view, upload and download below one folder of the server.

Runs on: Python 3.9 or newer; ``toru plugin build`` makes one file of this folder.
"""

from __future__ import annotations

import threading
from typing import Any
from urllib.parse import parse_qsl

from filebrowser import listing, preview, tree
from filebrowser.choices import SETTINGS, ChosenSettings
from filebrowser.uploads import Upload, Uploads, new_id
from toru_plugin import HttpError, Plugin, Request, Response

CLEANING_EVERY_S = 3600.0

plugin = Plugin(
    id="files",
    name="Files",
    version="1.0.0",
    author="Toru",
    icon="folder",
    route="/files",
    settings=SETTINGS,
)
plugin.bundle("bundle.js")
choices = ChosenSettings(plugin)


# Who may do what


def reading(request: Request) -> str:
    """Return the root for somebody who wants to see it; raises `HttpError` when not allowed."""
    if request.role != "admin" and not choices.read().clients_may_read:
        raise HttpError(403, "The administrator has not opened the files to you.", "forbidden")
    return _root()


def changing(request: Request) -> str:
    """Return the root for somebody who wants to change something in it."""
    _check_admin(request)
    return _root()


def _check_admin(request: Request) -> None:
    if request.role != "admin":
        raise HttpError(403, "Only the administrator can change the files.", "forbidden")


def _root() -> str:
    root = choices.read().root
    if root is None:
        raise HttpError(409, "No folder has been chosen yet.", "no_root")
    try:
        return choices.checked(root)
    except HttpError:
        # The sentence would tell clients the path.
        raise HttpError(
            409, "The chosen folder cannot be used at this moment.", "no_root"
        ) from None


def asked(request: Request) -> dict[str, str]:
    """Return the query's parameters; of names on disk, the bytes that are no text are kept."""
    pairs = parse_qsl(request.query_string, keep_blank_values=True, errors="surrogateescape")
    return dict(pairs)


def path_of(request: Request) -> list[str]:
    """Return the names of the path that is asked for; see `tree.names_of`."""
    return tree.names_of(asked(request).get("path", ""))


def number(request: Request, name: str, default: int | None = None) -> int:
    """Return a parameter that is a number of zero or more."""
    text = asked(request).get(name)
    if text is None and default is not None:
        return default
    if text is None or not text.isascii() or not text.isdigit() or len(text) > 18:
        raise HttpError(400, f"{name} must be a number.", "bad_request")
    return int(text)


# The choices


@plugin.get("/api/state")
def state(request: Request) -> dict[str, Any]:
    """Say what is chosen, and what whoever asks may do; the path is for the admin."""
    now = choices.read()
    is_admin = request.role == "admin"
    problem = ""
    if now.root is not None:
        try:
            choices.checked(now.root)
        except HttpError as error:
            problem = error.sentence
    return {
        "is_ready": now.root is not None and not problem,
        "may_read": is_admin or now.clients_may_read,
        "may_change": is_admin,
        "root": now.root if is_admin else None,
        "problem": problem if is_admin else "",
        "clients_may_read": now.clients_may_read,
    }


@plugin.put("/api/choices")
def choose(request: Request) -> dict[str, Any]:
    """Choose the folder, or whether clients may see it."""
    _check_admin(request)
    now = choices.change(request.json())
    plugin.log.info(
        "The choices were changed.",
        user=request.user,
        root=now.root,
        clients_may_read=now.clients_may_read,
    )
    return state(request)


# Looking


@plugin.get("/api/list")
def entries(request: Request) -> dict[str, Any]:
    """List a page of a folder."""
    root, query = reading(request), asked(request)
    sort = query.get("sort", "name")
    if sort not in listing.SORTS:
        raise HttpError(400, f"sort is one of {', '.join(listing.SORTS)}.", "bad_request")
    limit = number(request, "limit", listing.PAGE_SIZE)
    return listing.list_folder(
        root,
        path_of(request),
        sort=sort,
        descending=query.get("order") == "desc",
        offset=number(request, "offset", 0),
        limit=max(1, min(limit, listing.MAX_PAGE_SIZE)),
    )


@plugin.get("/api/preview")
def view(request: Request) -> dict[str, Any]:
    """Return what can be shown of a file."""
    with tree.open_file(reading(request), path_of(request)) as file:
        return preview.preview_of(file)


@plugin.get("/api/image")
def image(request: Request) -> Response:
    """Return an image to be drawn; nothing else has a type of its own here."""
    file = tree.open_file(reading(request), path_of(request))
    kind = preview.image_type(file)
    if kind is None:
        file.close()
        raise HttpError(415, "This is no image that can be shown.", "not_an_image")
    return Response.file(file, content_type=kind)


@plugin.get("/api/download")
def download(request: Request) -> Response:
    """Return a file as a download, whole or the part that is asked for."""
    names = path_of(request)
    file = tree.open_file(reading(request), names)
    name = listing.shown(names[-1])
    return Response.file(file, filename=name, content_type="application/octet-stream")


# Changing


@plugin.post("/api/folders")
def make_folder(request: Request) -> dict[str, Any]:
    """Make the folder ``name`` in the folder ``path``."""
    root, name = changing(request), asked(request).get("name", "")
    tree.make_folder(root, path_of(request), name)
    _note("A folder was made.", request, name=name)
    return {"key": listing.key_of(name)}


@plugin.post("/api/rename")
def rename(request: Request) -> dict[str, Any]:
    """Give ``path`` the name ``name``."""
    root, name = changing(request), asked(request).get("name", "")
    tree.rename(root, path_of(request), name)
    _note("An entry was renamed.", request, name=name)
    return {"key": listing.key_of(name)}


@plugin.delete("/api/entry")
def remove(request: Request) -> dict[str, Any]:
    """Delete a file, or a folder with all that it holds."""
    tree.remove(changing(request), path_of(request))
    _note("An entry was deleted.", request)
    return {"success": True}


def _note(message: str, request: Request, **more: Any) -> None:
    plugin.log.info(message, user=request.user, path=request.query.get("path", ""), **more)


# Uploads


def uploads() -> Uploads:
    """Return the uploads; their busy ones are known to this process alone."""
    if not _uploads:
        _uploads.append(Uploads(choices.folder / "uploads"))
    return _uploads[0]


_uploads: list[Uploads] = []


@plugin.post("/api/uploads")
def begin_upload(request: Request) -> dict[str, Any]:
    """Begin an upload of ``size`` bytes to ``name`` in ``path``, or go on with an earlier one."""
    root, query = changing(request), asked(request)
    upload = Upload(
        id=new_id(),
        root=root,
        path="/".join(path_of(request)),
        name=query.get("name", ""),
        size=number(request, "size"),
        modified=number(request, "modified", 0),
        replace=query.get("replace") == "1",
    )
    earlier = uploads().same(upload)
    if earlier is not None and earlier.replace == upload.replace:
        return {"id": earlier.id, "offset": uploads().offset(earlier)}
    uploads().begin(upload)
    return {"id": upload.id, "offset": 0}


@plugin.get("/api/uploads/{id}")
def show_upload(request: Request, id: str) -> dict[str, Any]:  # noqa: A002 - of the route
    """Say how many bytes of an upload have come."""
    upload = uploads().find(id, changing(request))
    return {"id": id, "offset": uploads().offset(upload), "size": upload.size}


@plugin.put("/api/uploads/{id}", stream=True)
def write_slice(request: Request, id: str) -> dict[str, Any]:  # noqa: A002 - of the route
    """Take a slice that begins at ``offset``; it is written as it comes."""
    upload = uploads().find(id, changing(request))
    offset = uploads().write(upload, number(request, "offset"), request.stream())
    return {"id": id, "offset": offset, "size": upload.size}


@plugin.post("/api/uploads/{id}/finish")
def finish_upload(request: Request, id: str) -> dict[str, Any]:  # noqa: A002 - of the route
    """Put an upload that is whole in its place."""
    upload = uploads().find(id, changing(request))
    entry = uploads().finish(upload)
    plugin.log.info(
        "A file was uploaded.",
        user=request.user,
        path=listing.shown(upload.path),
        name=upload.name,
        size=upload.size,
    )
    return entry


@plugin.delete("/api/uploads/{id}")
def discard_upload(request: Request, id: str) -> dict[str, Any]:  # noqa: A002 - of the route
    """Give an upload up."""
    uploads().discard(uploads().find(id, changing(request)))
    return {"success": True}


# Its life


@plugin.on_start
def started() -> None:
    """Clean up what earlier uploads have left, now and every hour."""
    try:
        choices.folder.mkdir(parents=True, exist_ok=True)
    except HttpError as error:
        plugin.log.warning(error.sentence)
        return
    choices.take_over()
    clean_again()


@plugin.on_config
def changed() -> None:
    """Give up uploads to a folder that is not the chosen one any more."""
    clean()


def clean_again() -> None:
    """Clean up, and have it done again in an hour."""
    again = threading.Timer(CLEANING_EVERY_S, clean_again)
    again.daemon = True
    again.start()
    clean()


def clean() -> None:
    """Give up uploads that have stood still for a day, or went to another folder."""
    chosen = choices.read().root
    try:
        root = None if chosen is None else choices.checked(chosen)
    except HttpError:
        return  # such as a disk that is not there at this moment
    count = uploads().clean(root)
    if count:
        plugin.log.info("Unfinished uploads were given up.", count=count)


if __name__ == "__main__":
    plugin.run()

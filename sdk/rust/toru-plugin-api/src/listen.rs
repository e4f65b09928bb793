//! The socket that the plugin listens on, at a path of any length.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::io::AsRawFd;
use std::path::Path;

use tokio::net::UnixListener;

use crate::error::PluginError;

/// A `sockaddr_un` holds 108 bytes on Linux and 104 elsewhere (unix(7)).
const MAX_PATH_BYTES: usize = 103;

/// Listens at `path`, mode 0600, in place of a socket that nobody listens on any more.
///
/// A path too long for a socket's address is reached through its folder (on Linux). To be called
/// in a tokio runtime.
///
/// # Errors
/// Something else than a socket is there, or the folder cannot be used.
pub fn listen_on_unix_socket(path: impl AsRef<Path>) -> Result<UnixListener, PluginError> {
    let path = path.as_ref();
    let told = |error: io::Error| {
        PluginError::Failed(format!("it is not possible to listen on {}: {error}", path.display()))
    };
    remove_stale(path).map_err(told)?;
    let listener = bind(path).map_err(told)?;
    fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(told)?;
    listener.set_nonblocking(true).map_err(told)?;
    UnixListener::from_std(listener).map_err(told)
}

fn remove_stale(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => fs::remove_file(path),
        Ok(_) => Err(io::Error::new(io::ErrorKind::AlreadyExists, "what is there is no socket")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

fn bind(path: &Path) -> io::Result<std::os::unix::net::UnixListener> {
    if path.as_os_str().len() <= MAX_PATH_BYTES {
        return std::os::unix::net::UnixListener::bind(path);
    }
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let folder = File::open(path.parent().unwrap_or_else(|| Path::new("/")))?;
    let short = Path::new("/proc/self/fd").join(folder.as_raw_fd().to_string()).join(name);
    std::os::unix::net::UnixListener::bind(short)
}

/// Returns what tells the socket at `path` from one that takes its place.
pub(crate) fn identity(path: &Path) -> Option<(u64, u64)> {
    fs::symlink_metadata(path).ok().map(|found| (found.dev(), found.ino()))
}

/// Removes the socket at `path` unless it is no longer the own one.
pub(crate) fn remove(path: &Path, own: Option<(u64, u64)>) {
    if own.is_some() && identity(path) == own {
        let _ = fs::remove_file(path);
    }
}

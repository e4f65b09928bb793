#!/usr/bin/env bash
# What __plugin_name__ answers. This file is run once for each request.
#
#   $REQUEST_METHOD $REQUEST_PATH $REQUEST_QUERY   what is asked; the path is as it was sent
#   $REQUEST_USER $REQUEST_ROLE                    who asks; the hub says so, nobody can forge it
#   standard input                                 the body
#   param NAME [DEFAULT]                           a parameter of the query, or of a JSON body
#
#   standard output                                the body of the answer
#   json NAME=TEXT NAME:=NUMBER                    prints a JSON object, whatever is in TEXT
#   status 201 · header NAME VALUE                 its status and headers
#   fail 404 "There is no such thing."             an error as JSON, and the end
#   standard error                                 lines for the plugin's log
#
#   config NAME [DEFAULT]                          a setting that main.py declares; lists by line
#   kv get KEY [DEFAULT] · kv set KEY TEXT · kv delete KEY · kv add KEY NUMBER
set -euo pipefail

case "$REQUEST_METHOD $REQUEST_PATH" in
  "GET /")
    json "message=Hello, $REQUEST_USER!"
    ;;
  "GET /api/counter")
    json "count:=$(kv get count 0)"
    ;;
  "POST /api/counter")
    count=$(kv add count 1)
    echo "counted to $count for $REQUEST_USER" >&2
    json "count:=$count"
    ;;
  "DELETE /api/counter")
    kv delete count
    json "count:=0"
    ;;
  "GET /api/disks")
    df -P
    ;;
  *)
    fail 404 "There is nothing at $REQUEST_PATH for $REQUEST_METHOD."
    ;;
esac

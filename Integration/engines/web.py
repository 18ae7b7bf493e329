"""A page and a client of it, for the Debian image: static busybox crashes on look-ups without glibc's libraries."""

# Not `python3 -m http.server`: that asks the name service for its own name first.
_SERVER = """
import functools, http.server, socketserver
handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory="/srv")
socketserver.TCPServer(("", 80), handler).serve_forever()
"""

_CLIENT = """
import sys, time, urllib.request
end = time.monotonic() + float(sys.argv[2])
while True:
    try:
        sys.exit(sys.stdout.write(urllib.request.urlopen(sys.argv[1], timeout=2).read().decode()) != 5)
    except OSError as e:
        if time.monotonic() > end:
            sys.exit(str(e))
        time.sleep(0.1)
"""

#: The command of a container that serves the page.
SERVE = ["sh", "-c", f"echo page > /srv/page; exec python3 -c '{_SERVER}'"]


def fetch(host, patience=5):
    """The command that reads the page from `host`, and tries for `patience` seconds."""
    return ["python3", "-c", _CLIENT, f"http://{host}/page", str(patience)]

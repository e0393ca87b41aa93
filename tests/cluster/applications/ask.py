"""Asks the three applications the same questions each time; finds them by DATASETTE_URL, HTTPBIN_URL and RADICALE_URL."""

from __future__ import annotations

import os
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, Request, build_opener

EVENT = b"""BEGIN:VCALENDAR\r
VERSION:2.0\r
PRODID:-//podcov//tests//EN\r
BEGIN:VEVENT\r
UID:one@example.org\r
DTSTAMP:20260101T000000Z\r
DTSTART:20260102T100000Z\r
DTEND:20260102T110000Z\r
SUMMARY:Tea\r
END:VEVENT\r
END:VCALENDAR\r
"""
PROPFIND = b'<?xml version="1.0"?><propfind xmlns="DAV:"><allprop/></propfind>'
QUERY = (
    b'<?xml version="1.0"?><C:calendar-query xmlns="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav"><prop><getetag/></prop>'
    b'<C:filter><C:comp-filter name="VCALENDAR"><C:comp-filter name="VEVENT"/></C:comp-filter></C:filter></C:calendar-query>'
)
USER = {"Authorization": "Basic dXNlcjpzZWNyZXQ="}
XML = USER | {"Content-Type": "application/xml"}

QUESTIONS: dict[str, list[tuple[str, str, bytes | None, dict[str, str]]]] = {
    "DATASETTE_URL": [
        ("GET", "/", None, {}),
        ("GET", "/.json", None, {}),
        ("GET", "/-/versions.json", None, {}),
        ("GET", "/-/settings", None, {}),
        ("GET", "/_memory?sql=select+1+as+one", None, {}),
        ("GET", "/_memory.json?sql=select+:a+as+a&a=2&_shape=array", None, {}),
        ("GET", "/_memory.csv?sql=select+3", None, {}),
        ("GET", "/_memory.json?sql=select+from", None, {}),
        ("GET", "/_memory?sql=drop+table+x", None, {}),
        ("GET", "/nowhere", None, {}),
    ],
    "HTTPBIN_URL": [
        ("GET", "/", None, {}),
        ("GET", "/get?a=1&a=2&b=3", None, {}),
        ("POST", "/post", b"a=1&b=2", {"Content-Type": "application/x-www-form-urlencoded"}),
        ("POST", "/post", b'{"a": [1, 2]}', {"Content-Type": "application/json"}),
        ("PUT", "/anything/here", b"\xff\xfe", {}),
        ("GET", "/headers", None, {"X-Test": "yes"}),
        ("GET", "/gzip", None, {}),
        ("GET", "/deflate", None, {}),
        ("GET", "/status/418", None, {}),
        ("GET", "/status/404", None, {}),
        ("GET", "/redirect/2", None, {}),
        ("GET", "/cookies/set?name=value", None, {}),
        ("GET", "/cookies", None, {"Cookie": "name=value"}),
        ("GET", "/basic-auth/user/secret", None, USER),
        ("GET", "/basic-auth/user/secret", None, {}),
        ("GET", "/bearer", None, {"Authorization": "Bearer token"}),
        ("GET", "/digest-auth/auth/user/secret", None, {}),
        ("GET", "/stream/3", None, {}),
        ("GET", "/range/64?chunk_size=16", None, {"Range": "bytes=10-40"}),
        ("GET", "/base64/cG9kY292", None, {}),
        ("GET", "/links/3/1", None, {}),
        ("GET", "/image", None, {"Accept": "image/png"}),
        ("GET", "/etag/one", None, {"If-None-Match": "one"}),
        ("GET", "/response-headers?Server=test", None, {}),
        ("GET", "/xml", None, {}),
    ],
    "RADICALE_URL": [
        ("GET", "/.web/", None, USER),
        ("OPTIONS", "/", None, USER),
        ("PROPFIND", "/", PROPFIND, XML | {"Depth": "1"}),
        ("MKCALENDAR", "/user/tea/", None, USER),
        ("PUT", "/user/tea/one.ics", EVENT, USER | {"Content-Type": "text/calendar"}),
        ("GET", "/user/tea/one.ics", None, USER),
        ("GET", "/user/tea/", None, USER),
        ("PROPFIND", "/user/tea/", PROPFIND, XML | {"Depth": "1"}),
        ("REPORT", "/user/tea/", QUERY, XML | {"Depth": "1"}),
        ("PUT", "/user/tea/two.ics", b"no calendar", USER | {"Content-Type": "text/calendar"}),
        ("DELETE", "/user/tea/one.ics", None, USER),
        ("GET", "/user/tea/one.ics", None, USER),
    ],
}


class NoRedirects(HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        return None


def main() -> None:
    opener = build_opener(NoRedirects)
    for variable, questions in QUESTIONS.items():
        for method, path, body, headers in questions:
            try:
                with opener.open(Request(os.environ[variable] + path, body, headers, method=method), timeout=30) as answer:
                    answer.read()
                    status = answer.status
            except HTTPError as error:
                with error:
                    status = error.code
            print(status, method, path)


if __name__ == "__main__":
    main()

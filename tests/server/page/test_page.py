#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The chat page as it is served: to browsers alone, byte by byte what web/dist has, kept by
browsers but asked about, and allowed to do nothing but itself."""
import os
import pathlib
import re

import serving

DIST = pathlib.Path(os.environ["RWKV_SOURCE"]) / "web" / "dist"
BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".txt": "text/plain"}
POLICY = {
    "default-src": "'none'", "script-src": "'self'", "style-src": "'self'",
    "connect-src": "'self'", "img-src": "'self' data:", "base-uri": "'none'",
    "frame-ancestors": "'none'", "form-action": "'none'", "require-trusted-types-for": "'script'",
    "trusted-types": "'none'",
}


class Page(serving.Case):
    def test_browsers_get_the_page_and_others_a_line(self):
        page = self.ask("GET", "/", headers=BROWSER)
        self.assertEqual(page.status, 200)
        self.assertEqual(page.body, (DIST / "index.html").read_bytes())
        for headers in ({}, {"Accept": "*/*"}, {"Accept": "application/json"}):
            line = self.ask("GET", "/", headers=headers)
            self.assertEqual((line.status, line.body), (200, b"rwkv.c is running\n"))
            self.assertEqual(line.headers["Vary"], page.headers["Vary"])

    def test_head(self):
        for headers in ({}, BROWSER):
            head, got = (self.ask(method, "/", headers=headers) for method in ("HEAD", "GET"))
            self.assertEqual((head.status, head.body), (200, b""))
            self.assertEqual(head.headers["Content-Length"], str(len(got.body)))

    def test_files_are_those_of_the_build(self):
        for path in DIST.iterdir():
            reply = self.ask("GET", f"/page/{path.name}")
            self.assertEqual((reply.status, reply.body), (200, path.read_bytes()), path)
            self.assertEqual(reply.headers["Content-Type"],
                             TYPES[path.suffix] + "; charset=utf-8")
        self.assertEqual(self.ask("GET", "/page/index.js").status, 404)
        self.assertEqual(self.ask("GET", "/page/../page.js").status, 404)
        self.assertEqual(self.ask("POST", "/page/page.js", b"").status, 405)

    def test_everything_it_names_is_there(self):
        named = re.findall(r'(?:href|src)="(?!data:)([^"]+)"', (DIST / "index.html").read_text())
        self.assertEqual(sorted(named), ["page/page.css", "page/page.js"])

    def test_what_it_may_do(self):
        for path, headers in (("/", BROWSER), ("/page/page.js", {}), ("/page/licences.txt", {})):
            reply = self.ask("GET", path, headers=headers)
            parts = reply.headers["Content-Security-Policy"].split("; ")
            self.assertEqual(dict(part.split(" ", 1) for part in parts), POLICY)
            self.assertEqual(reply.headers["X-Content-Type-Options"], "nosniff")
            self.assertEqual(reply.headers["Referrer-Policy"], "no-referrer")

    def test_kept_by_browsers(self):
        first = self.ask("GET", "/page/page.js")
        tag = first.headers["ETag"]
        self.assertEqual(first.headers["Cache-Control"], "no-cache")
        self.assertRegex(tag, '^"[0-9a-f]{20}"$')
        self.assertNotEqual(tag, self.ask("GET", "/page/page.css").headers["ETag"])
        for wanted in (tag, f"W/{tag}", f'"other", {tag}', "*"):
            again = self.ask("GET", "/page/page.js", headers={"If-None-Match": wanted})
            self.assertEqual((again.status, again.body), (304, b""), wanted)
            self.assertEqual(again.headers["ETag"], tag)
        for other in ('"other"', tag[:-1], tag.strip('"'), "W/", ""):
            again = self.ask("GET", "/page/page.js", headers={"If-None-Match": other})
            self.assertEqual((again.status, again.body), (200, first.body), other)


class WithKeys(serving.Case):
    """The page comes without a key, to ask for one; what it asks the server for does not."""

    @classmethod
    def setUpClass(cls):
        keys = serving.folder() / "keys.txt"
        keys.write_text("someone a-key-of-someone\n", encoding="utf-8")
        cls.options = ["--api-key-file", str(keys)]
        super().setUpClass()

    def test_the_page_is_open(self):
        for path in ("/", "/page/page.js", "/page/page.css"):
            self.assertEqual(self.ask("GET", path, headers=BROWSER).status, 200)
        self.assertEqual(self.ask("GET", "/v1/models", headers=BROWSER).status, 401)

    def test_other_hosts_are_refused(self):
        refused = self.ask("GET", "/", headers={**BROWSER, "Host": "evil.example"})
        self.assertEqual(refused.status, 403)


if __name__ == "__main__":
    serving.main()

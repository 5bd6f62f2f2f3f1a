#!/usr/bin/env python3
"""The Airbyte CDK's own source, source-declarative-manifest, reading records of 1 KiB in pages of 1,000 from a server beside it; tells on
standard error how many seconds it took beyond what it takes to read one page. Its standard output goes to /dev/null."""

import http.server
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time

TEXT = "The quick brown fox jumps over the lazy dog. " * 21
PAGE = 1000
MANIFEST = """
version: 6.0.0
type: DeclarativeSource
check: {type: CheckStream, stream_names: [s]}
streams:
  - type: DeclarativeStream
    name: s
    primary_key: id
    retriever:
      type: SimpleRetriever
      requester: {type: HttpRequester, url_base: "{{ config['url'] }}", path: /s, http_method: GET}
      record_selector: {type: RecordSelector, extractor: {type: DpathExtractor, field_path: []}}
      paginator:
        type: DefaultPaginator
        page_size_option: {type: RequestOption, inject_into: request_parameter, field_name: size}
        page_token_option: {type: RequestOption, inject_into: request_parameter, field_name: page}
        pagination_strategy: {type: PageIncrement, page_size: 1000}
    schema_loader:
      type: InlineSchemaLoader
      schema: {type: object, properties: {id: {type: integer}, text: {type: string}}}
spec: {type: Spec, connection_specification: {type: object, additionalProperties: true}}
"""


def serve(pages, port):
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version, wbufsize, disable_nagle_algorithm = "HTTP/1.1", -1, True

        def do_GET(self):
            at = int(self.path.partition("page=")[2].partition("&")[0] or 0)
            # Prepared, so that the server is not what is measured.
            body = full if at < pages.value else b"[]"
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    full = json.dumps([{"id": n, "text": TEXT} for n in range(PAGE)]).encode()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    port.value = server.server_port
    server.serve_forever()


def read(folder, url):
    config, catalog, manifest = (os.path.join(folder, name) for name in ("config.json", "catalog.json", "manifest.yaml"))
    stream = {"name": "s", "json_schema": {}, "supported_sync_modes": ["full_refresh"]}
    configured = {"stream": stream, "sync_mode": "full_refresh", "destination_sync_mode": "append"}
    for path, text in ((config, json.dumps({"url": url})), (catalog, json.dumps({"streams": [configured]})), (manifest, MANIFEST)):
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    program = os.path.join(os.path.dirname(sys.executable), "source-declarative-manifest")
    line = [program, "read", "--config", config, "--catalog", catalog, "--manifest-path", manifest]
    begun = time.monotonic()
    subprocess.run(line, check=True, stdout=subprocess.DEVNULL, env=os.environ | {"NO_PROXY": "127.0.0.1"})
    return time.monotonic() - begun


def main():
    pages, port = multiprocessing.Value("i", 1), multiprocessing.Value("i", 0)
    server = multiprocessing.Process(target=serve, args=(pages, port), daemon=True)
    server.start()
    while not port.value:
        time.sleep(0.01)
    with tempfile.TemporaryDirectory() as folder:
        url = f"http://127.0.0.1:{port.value}"
        beginning = read(folder, url)
        pages.value = 1 + int(sys.argv[1]) // PAGE
        sys.stderr.write(f"seconds {read(folder, url) - beginning}\n")
    server.terminate()


if __name__ == "__main__":
    main()

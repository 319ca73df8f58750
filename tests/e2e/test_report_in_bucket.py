"""`stemline report` of a dataset in a bucket: its pages are shown in a browser of this machine, and tell its splits."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from support.html_page import Page


def shown_page(project, *flags: str) -> tuple[str, Page]:
    """Open a page in a browser that only writes down what it is to show; give what the command said, and the page."""
    seen, browser = project.folder / "seen.txt", project.folder / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {seen}\n')
    browser.chmod(0o755)
    opened = project.stemline("report", project.config, "--open", *flags, BROWSER=f"{browser} %s")
    assert opened.code == 0, opened.err
    url = urlsplit(seen.read_text().strip())
    assert url.scheme == "file"
    return opened.out.strip(), Page(Path(unquote(url.path)).read_text("utf-8"))


@pytest.mark.xdist_group("s3")
def test_open_shows_the_pages_of_a_bucket_from_this_machine(project, s3_server, s3_client, bucket):
    options = s3_server.storage_options
    splits = {"train": 0.5, "test": 0.5, "by": "artist"}
    dataset = {"url": f"s3://{bucket}/stems", "storage_options": options, "splits": splits}
    project.prepare(3, dataset=dataset)
    done = project.run()
    assert done.code == 0, done.err

    where, page = shown_page(project)
    assert where == f"s3://{bucket}/stems/_stemline/runs/{done.tree['run_id']}.html"
    stored = s3_client.get_object(Bucket=bucket, Key=f"stems/_stemline/runs/{done.tree['run_id']}.html")
    assert page.source == stored["Body"].read().decode("utf-8")
    assert done.tree["run_id"] in page.named("footer")[0].text
    tracks = {row["column 0"]: int(row["column 3"]) for row in page.table("shares")}
    assert tracks == {name: count for name, count in done.tree["splits"].items() if count}

    where, about_all = shown_page(project, "--dataset")
    assert where == f"s3://{bucket}/stems/_stemline/reports/dataset.html"
    assert "live dataset" in about_all.named("header")[0].text
    assert {
        row["column 0"]: int(row["column 3"]) for row in about_all.table("shares")
    }.items() >= tracks.items()

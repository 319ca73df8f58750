"""`--log-format json`: all that commands write to stderr is JSON, one object a line."""

from __future__ import annotations

import json
import signal

import pytest

KEYS = {"timestamp", "level", "logger", "message"}
JSON_BY_VARIABLE = {"STEMLINE_LOG_FORMAT": "json"}


def lines_of(err: str) -> list[dict]:
    lines = [json.loads(line) for line in err.splitlines()]
    assert all(line.keys() >= KEYS for line in lines)
    return lines


def messages(err: str) -> str:
    return "\n".join(line["message"] for line in lines_of(err))


@pytest.mark.parametrize("where", ["before", "after", "variable"])
@pytest.mark.long
def test_a_run_says_everything_as_json(project, where):
    project.prepare(2)
    flag, command = ("--log-format", "json"), ("run", project.config, "--json")
    words = {"before": (*flag, *command), "after": (*command, *flag), "variable": command}[where]
    done = project.stemline(*words, **(JSON_BY_VARIABLE if where == "variable" else {}))

    assert done.code == 0, done.err
    assert done.tree["tracks"] == {"published": 2}
    assert "is about 2 tracks." in messages(done.err)


def test_an_error_is_a_line_as_well_and_stdout_stays_as_it_is(project):
    done = project.prepare(1).stemline("status", project.config, "--json", "--log-format", "json")

    assert done.code == 2
    [line] = lines_of(done.err)
    assert line["level"] == "ERROR"
    assert line["message"].startswith(done.tree["error"]["message"])


def test_no_key_is_in_any_line(project, break_with):
    """The vendor's refusal of a job is told by a thread that never saw the configuration."""
    break_with({"fault": "server_error", "times": 2})
    project.prepare(2)
    done = project.stemline("run", project.config, "--log-format", "json")

    assert project.provider.key not in done.err
    lines_of(done.err)


def test_listen_logs_its_requests_refused_and_where_it_is(project, http, free_port):
    address = f"127.0.0.1:{free_port}"
    project.prepare(1, webhooks={"public_url": f"http://{address}", "listen": address})
    child = project.start("listen", project.config, "--log-format", "json")
    assert child.until(lambda: "Listening at" in child.notes())
    assert http.post(f"http://{address}/hooks/local", content=b"{}").status_code == 401
    child.send(signal.SIGTERM)
    ended = child.wait()

    assert ended.code == 0
    assert "A delivery for local was refused" in messages(ended.err)


def test_serve_logs_as_json(project, free_port):
    words = ("--folder", project.folder / "service", "--port", free_port, "--engine", "copy")
    child = project.start("serve", *words, "--log-format", "json")
    out = max(project.folder.glob("out-*.txt"), key=lambda path: int(path.stem.partition("-")[2]))
    assert child.until(lambda: "url" in out.read_text())
    child.send(signal.SIGTERM)
    ended = child.wait()

    assert ended.code == 0
    assert json.loads(ended.out)["url"].endswith(str(free_port))
    lines_of(ended.err)

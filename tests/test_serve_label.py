"""The labelling service without a browser: its rules, what it gives out, and that no edit is lost."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import multiprocessing
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import unload
from PIL import Image

fastapi = pytest.importorskip("fastapi", reason="pip install 'mien[serve]'")
httpx = pytest.importorskip("httpx", reason="the tests of the service need httpx")

from fastapi.testclient import TestClient  # noqa: E402

from mien import cli  # noqa: E402
from mien.attributes import ATTRIBUTES, Attribute  # noqa: E402
from mien.data.project import NewPicture, Project  # noqa: E402
from mien.errors import InputError  # noqa: E402
from mien.serve.access import MAX_BODY_BYTES, Access, is_loopback  # noqa: E402
from mien.serve.app import STATIC, address_of, create_app, listen, serve  # noqa: E402
from mien.serve.label import LabelDesk, label_router  # noqa: E402
from mien.serve.pictures import THUMBNAIL_SIDE  # noqa: E402
from mien.serve.suggest import Finder, agreement, suggest  # noqa: E402
from mien.types import Faces  # noqa: E402

HOME = "http://127.0.0.1:8765"
TOKEN = "correct horse battery"  # noqa: S105
POINTS = [[20, 30], [40, 30], [30, 45], [22, 60], [38, 60]]


def found(*scores: float, answers: list[list[float]] | None = None) -> Faces:
    """Faces with these scores, side by side."""
    boxes = [[10 + 60 * number, 20, 50 + 60 * number, 70] for number in range(len(scores))]
    points = [[[x + 60 * number, y] for x, y in POINTS] for number in range(len(scores))]
    columns = {} if answers is None else {"mask": np.array(answers, np.float32)}
    return Faces(boxes, scores, points, attributes=columns)


def finder(faces: Faces, attributes: dict[str, Attribute] | None = None) -> Finder:
    return Finder(lambda image: faces, threshold=0.4, sure=0.6, floor=0.3, attributes=attributes or {})


def new_project(root: Path, count: int = 4, task: str = "mask") -> Project:
    project = Project.create(root, task=task)
    pictures = [np.full((90, 220, 3), 40 + 20 * number, np.uint8) for number in range(count)]
    added = project.add(NewPicture(picture, name=f"p{number}") for number, picture in enumerate(pictures))
    assert len(added.kept) == count
    return project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return new_project(tmp_path / "masks")


@pytest.fixture
def desk(project: Project) -> LabelDesk:
    return LabelDesk(project, finder(found(0.9)))


@pytest.fixture
def client(desk: LabelDesk) -> Iterator[TestClient]:
    app = create_app(label_router(desk), access=Access())
    with TestClient(app, base_url=HOME, raise_server_exceptions=False) as client:
        yield client


def face(answer: str = "mask", **more: Any) -> dict[str, Any]:
    return {"box": [10, 20, 50, 70], "keypoints": {"nose": [30, 45]}, "attributes": {"mask": answer}, "by": "person", **more}


def edit(client: httpx.Client, name: str, revision: int, faces: list[dict[str, Any]] | None, state: str = "labelled") -> Any:
    body = {"revision": revision, "state": state, "faces": faces}
    return client.put(f"/api/label/pictures/{name}", json=body)


# --- the rules -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["/", "/label", "/static/page.js", "/healthz", "/api/label", "/nothing", "/api/label/pictures/x"]
)
def test_every_answer_has_the_security_headers(client: TestClient, path: str) -> None:
    answer = client.get(path)
    policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert "access-control-allow-origin" not in answer.headers
    assert "server" not in answer.headers


def test_the_built_page_has_no_inline_scripts_and_loads_nothing_from_elsewhere() -> None:
    page = (STATIC / "index.html").read_text("utf-8")
    assert "<script" in page
    assert 'src="/static/page.js"' in page
    assert "style=" not in page
    assert "http:" not in page
    assert "https:" not in page
    for text in (STATIC / "page.js").read_text("utf-8"), (STATIC / "index.css").read_text("utf-8"):
        assert "https://" not in text
        assert "innerHTML" not in text
        assert "eval(" not in text


@pytest.mark.parametrize(
    ("host", "is_own"),
    [
        ("127.0.0.1", True),
        ("localhost", True),
        ("::1", True),
        ("127.8.8.8", True),
        ("0.0.0.0", False),
        ("example.org", False),
    ],
)
def test_another_address_needs_a_token(host: str, is_own: bool) -> None:
    assert is_loopback(host) == is_own
    Access(host, TOKEN)
    if is_own:
        Access(host)
        return
    with pytest.raises(InputError, match=r"expected an address of this machine alone.*--token"):
        Access(host)


@pytest.mark.parametrize("token", ["short", "0123456789abcde", "0123456789abcd\u00e9f", "0123456789abcdef\n"])
def test_a_token_must_be_long_and_plain(token: str) -> None:
    with pytest.raises(InputError, match="token: expected at least 16"):
        Access("127.0.0.1", token)


def test_with_a_token_nothing_is_given_out_without_it(desk: LabelDesk) -> None:
    name = desk.project.rows()[0]["file_name"]
    app = create_app(label_router(desk), access=Access("0.0.0.0", TOKEN))
    with TestClient(app, base_url="http://photos.local:8765") as client:
        closed = ["/api/label", f"/api/label/pictures/{name}", f"/api/label/images/{name}", "/api/openapi.json", "/other"]
        for path in closed:
            assert client.get(path).status_code == 401, path
            assert client.get(path, headers={"Authorization": "Bearer wrong"}).status_code == 401
            assert client.get(path, headers={"Cookie": "mien_session=wrong"}).status_code == 401
        assert edit(client, name, 1, []).status_code == 401
        assert client.get("/label").status_code == 200
        assert client.get("/api/session").json() == {"is_known": False}
        assert client.get("/api/label", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200
        assert client.post("/api/session", json={"token": "x" * 20}).status_code == 401
        given = client.post("/api/session", json={"token": TOKEN})
        assert given.status_code == 204
        cookie = given.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert TOKEN not in cookie
        assert client.get("/api/label").status_code == 200
        assert client.get("/api/session").json() == {"is_known": True}


def test_other_sites_can_neither_write_nor_use_a_name_of_their_own(client: TestClient, project: Project) -> None:
    name = project.rows()[0]["file_name"]
    body = {"revision": 1, "state": "labelled", "faces": []}
    path = f"/api/label/pictures/{name}"
    for headers in ({"Origin": "http://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}):
        answer = client.put(path, json=body, headers=headers)
        assert answer.status_code == 403
        assert "other sites may not write" in answer.json()["error"]["message"]
    assert client.get(path, headers={"Host": "evil.example:8765"}).status_code == 421
    assert project.row(name)["revision"] == 1
    assert client.put(path, json=body, headers={"Origin": HOME, "Sec-Fetch-Site": "same-origin"}).status_code == 200


def test_a_body_has_a_limit(client: TestClient, project: Project) -> None:
    path = f"/api/label/pictures/{project.rows()[0]['file_name']}"
    assert client.put(path, content=b" " * (MAX_BODY_BYTES + 1)).status_code == 413
    assert client.put(path, content=iter([b"{}"])).status_code == 411


def test_a_web_socket_from_elsewhere_is_closed(desk: LabelDesk) -> None:
    app = create_app(label_router(desk), access=Access())
    reached: list[str] = []

    @app.websocket("/api/echo")
    async def echo(socket: fastapi.WebSocket) -> None:
        reached.append("yes")
        await socket.accept()
        await socket.close()

    from starlette.websockets import WebSocketDisconnect

    with TestClient(app, base_url=HOME) as client:
        with (
            pytest.raises(WebSocketDisconnect) as closed,
            client.websocket_connect("/api/echo", headers={"Origin": "http://e.vil"}),
        ):
            pass
        assert closed.value.code == 1008
        assert not reached
        with client.websocket_connect("/api/echo", headers={"Host": "127.0.0.1:8765", "Origin": HOME}):
            pass
        assert reached


HOSTILE_NAMES = (
    *("../mien.toml", "..%2Fmien.toml", "%2e%2e/mien.toml", "..\\mien.toml", "/etc/passwd", "%2Fetc%2Fpasswd"),
    *(
        "metadata.jsonl",
        "../journal.jsonl",
        "p0.jpg%00.png",
        ".",
        "..",
        "pictures/../mien.toml",
        "~/.ssh/id_rsa",
        "%0a",
        "C:%5Cboot.ini",
    ),
)


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_only_names_of_rows_are_served(client: TestClient, desk: LabelDesk, name: str) -> None:
    app = client.app
    for folder in ("pictures", "images", "thumbnails"):
        status, body = asyncio.run(raw_get(app, f"/api/label/{folder}/{name}"))
        assert status in (404, 422)
        assert b"attribute" not in body
        assert b"root:" not in body
    for path in (f"/static/{name}", f"/static/../{name}"):
        status, body = asyncio.run(raw_get(app, path))
        assert status in (404, 405)


async def raw_get(app: Any, path: str) -> tuple[int, bytes]:
    """A request whose path nothing tidies up on the way."""
    from urllib.parse import unquote

    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b""}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    headers = [(b"host", b"127.0.0.1:8765")]
    scope = {
        "type": "http",
        "method": "GET",
        "path": unquote(path),
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": headers,
    }
    await app(
        {**scope, "scheme": "http", "server": ("127.0.0.1", 8765), "root_path": "", "http_version": "1.1"}, receive, send
    )
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent)


def test_a_link_out_of_the_project_is_not_followed(client: TestClient, project: Project, tmp_path: Path) -> None:
    name = project.rows()[0]["file_name"]
    secret = tmp_path / "secret.png"
    Image.new("RGB", (20, 20), "red").save(secret)
    (project.pictures / name).unlink()
    (project.pictures / name).symlink_to(secret)
    for folder in ("pictures", "images", "thumbnails"):
        answer = client.get(f"/api/label/{folder}/{name}")
        assert answer.status_code == 422
        assert "expected a file name inside" in answer.json()["error"]["message"]


# --- what is given out ---------------------------------------------------------------------------------------------


def test_the_overview_tells_what_the_page_is_made_of(client: TestClient, project: Project) -> None:
    told = client.get("/api/label").json()
    mask = ATTRIBUTES["mask"]
    assert told["question"]["question"] == mask.question
    assert [answer["name"] for answer in told["question"]["answers"]] == list(mask.answers)
    assert told["question"]["answers"][2]["text"] == mask.short["bad_mask"]
    assert [point["name"] for point in told["keypoints"]] == list(project.settings.keypoints)
    assert [item["file_name"] for item in told["pictures"]] == [row["file_name"] for row in project.rows()]
    assert all(item["margin"] is None for item in told["pictures"])


def test_the_buttons_come_from_the_project_not_from_the_program(tmp_path: Path) -> None:
    project = Project.create(
        tmp_path / "hats", attribute="hat", classes=["cap", "helmet", "none"], keypoints=["nose", "chin"]
    )
    desk = LabelDesk(project)
    told = desk.overview()
    assert [answer["text"] for answer in told["question"]["answers"]] == ["cap", "helmet", "none"]
    assert [point["name"] for point in told["keypoints"]] == ["nose", "chin"]
    assert len({point["colour"] for point in told["keypoints"]}) == 2
    assert LabelDesk(Project.create(tmp_path / "age", task="age")).overview()["question"]["unit"] == "years"
    assert LabelDesk(Project.create(tmp_path / "boxes", task="boxes")).overview()["question"] is None


def test_a_picture_comes_with_suggestions(client: TestClient, project: Project) -> None:
    name = project.rows()[0]["file_name"]
    told = client.get(f"/api/label/pictures/{name}").json()
    assert (told["width"], told["height"]) == (220, 90)
    (suggested,) = told["suggestions"]
    assert suggested["box"] == [10, 20, 50, 70]
    assert suggested["keypoints"]["nose"] == [30, 45]
    assert (suggested["by"], suggested["score"]) == ("model", 0.9)
    assert told["row"]["state"] == "unlabelled"
    assert "faces" not in told["row"]


def test_images_are_upright_small_and_kept_by_the_browser(tmp_path: Path) -> None:
    project = Project.create(tmp_path / "turned", task="boxes")
    pixels = np.zeros((300, 500, 3), np.uint8)
    pixels[:100, :100] = 255  # stored: top left
    file = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned by 90 degrees clockwise: top right
    Image.fromarray(pixels).save(file, "JPEG", exif=exif, quality=95)
    (row,) = project.add([NewPicture(file.getvalue(), name="turned")]).kept
    with TestClient(create_app(label_router(LabelDesk(project)), access=Access()), base_url=HOME) as client:
        answer = client.get(f"/api/label/images/{row['file_name']}")
        assert answer.headers["content-type"] == "image/jpeg"
        shown = np.asarray(Image.open(io.BytesIO(answer.content)))
        assert shown.shape == (500, 300, 3)
        assert shown[50, 250].min() > 200
        assert shown[50, 50].max() < 60
        again = client.get(f"/api/label/images/{row['file_name']}", headers={"If-None-Match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        small = Image.open(io.BytesIO(client.get(f"/api/label/thumbnails/{row['file_name']}").content))
        assert max(small.size) == THUMBNAIL_SIDE
        told = client.get(f"/api/label/pictures/{row['file_name']}").json()
        assert (told["width"], told["height"]) == (300, 500)


def test_a_broken_picture_is_told_and_does_not_stop_the_others(desk: LabelDesk, client: TestClient) -> None:
    rows = desk.project.rows()
    (desk.project.pictures / rows[0]["file_name"]).write_bytes(b"no picture")
    desk.start()
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and any(desk.suggester.known(row["file_name"]) is None for row in rows):
        time.sleep(0.01)
    told = client.get("/api/label").json()["pictures"]
    assert "expected a picture" in told[0]["error"]
    assert [item["margin"] for item in told[1:]] == [1, 1, 1]
    answer = client.get(f"/api/label/pictures/{rows[0]['file_name']}")
    assert answer.status_code == 422
    news = client.get("/api/label/changes").json()
    assert len(news["pictures"]) == 4
    assert client.get(f"/api/label/changes?since={news['count']}").json() == {"count": news["count"], "pictures": []}


@pytest.mark.parametrize(
    ("scores", "margin"),
    [
        ((), 0.5),
        ((0.9,), 1),
        ((0.6, 0.9), 1),
        ((0.5, 0.9), 0.5),
        ((0.4,), 0),
        ((0.9, 0.35), 0.5),
        ((0.9, 0.31), 0.9),
        ((0.31,), 0.5),
    ],
)
def test_the_margin_is_that_of_the_nearest_decision(scores: tuple[float, ...], margin: float) -> None:
    suggestion = suggest(finder(found(*scores)), np.zeros((90, 220, 3), np.uint8))
    assert suggestion.margin == pytest.approx(margin, abs=1e-5)
    assert [one["score"] for one in suggestion.faces] == [score for score in scores if score >= 0.4]
    assert [one["score"] for one in suggestion.doubtful] == [pytest.approx(score) for score in scores if score < 0.4]


def test_the_model_answers_the_question_where_it_can() -> None:
    mask = ATTRIBUTES["mask"]
    image = np.zeros((90, 220, 3), np.uint8)
    model = finder(found(0.9, answers=[[0.2, 0.7, 0.1]]), {"mask": mask})
    suggestion = suggest(model, image, mask)
    assert suggestion.faces[0]["attributes"] == {"mask": "no_mask"}
    assert suggestion.margin == pytest.approx(0.5 / 0.6)
    assert suggest(model, image, Attribute("mask", "?", ("yes", "no"))).faces[0]["attributes"] == {}
    assert suggest(model, image).faces[0]["attributes"] == {}


def test_labels_that_differ_from_what_the_model_sees_come_first() -> None:
    suggestion = suggest(finder(found(0.9)), np.zeros((90, 220, 3), np.uint8))
    assert agreement([{"box": [12, 20, 50, 70]}], suggestion) == 1
    assert agreement([{"box": [12, 20, 50, 70]}, {"box": [0, 0, 9, 9], "ignore": True}], suggestion) == 1
    assert agreement([{"box": [150, 20, 190, 70]}], suggestion) == 0
    assert agreement([], suggestion) == 0


# --- saving --------------------------------------------------------------------------------------------------------


def test_an_edit_is_kept_and_counted(client: TestClient, project: Project) -> None:
    name = project.rows()[0]["file_name"]
    answer = edit(client, name, 1, [face("bad_mask")])
    assert answer.status_code == 200
    assert answer.json()["revision"] == 2
    assert answer.json()["state"] == "labelled"
    (kept,) = Project.open(project.root).row(name)["faces"]
    assert kept["attributes"] == {"mask": "bad_mask"}
    assert kept["by"] == "person"
    assert edit(client, name, 2, None, "unlabelled").json()["revision"] == 3
    assert not project.row(name).get("faces")
    assert edit(client, name, 3, []).json()["faces"] == 0
    assert project.row(name)["faces"] == []


def test_two_tabs_cannot_overwrite_each_other(client: TestClient, project: Project) -> None:
    name = project.rows()[0]["file_name"]
    assert edit(client, name, 1, [face("mask")]).status_code == 200
    late = edit(client, name, 1, [face("no_mask")])
    assert late.status_code == 409
    assert late.json()["error"]["kind"] == "conflict"
    assert late.json()["row"]["revision"] == 2
    assert late.json()["row"]["faces"][0]["attributes"] == {"mask": "mask"}
    assert project.row(name)["faces"][0]["attributes"] == {"mask": "mask"}
    assert edit(client, name, 2, [face("no_mask")]).status_code == 200


def test_of_many_at_once_one_wins(client: TestClient, project: Project) -> None:
    name = project.rows()[0]["file_name"]
    statuses: list[int] = []

    def push(answer: str) -> None:
        statuses.append(edit(client, name, 1, [face(answer)]).status_code)

    threads = [threading.Thread(target=push, args=(("mask", "no_mask")[number % 2],)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200] + [409] * 7
    assert project.row(name)["revision"] == 2


@pytest.mark.parametrize(
    ("faces", "message"),
    [
        ([{"box": [1, 2, 3]}], "box"),
        ([{"box": [50, 20, 10, 70]}], "expected x1 < x2"),
        ([{"box": [500, 20, 600, 70]}], "expected one in the picture of 220x90"),
        ([{}], "box: Field required"),
        ([face("beard")], "expected one of mask, no_mask, bad_mask"),
        ([face(keypoints={"nose": [1]})], "nose"),
        ([face(keypoints=[1, 2])], "keypoints: expected an object"),
        ("all", "list"),
    ],
)
def test_wrong_labels_are_one_clear_line(client: TestClient, project: Project, faces: Any, message: str) -> None:
    name = project.rows()[0]["file_name"]
    answer = edit(client, name, 1, faces)
    assert answer.status_code == 422
    told = answer.json()["error"]["message"]
    assert message in told
    assert "\n" not in told
    assert project.row(name)["revision"] == 1
    assert edit(client, name, 1, [], "finished").status_code == 422
    assert client.put(f"/api/label/pictures/{name}", content=b'{"revision": 1e999').status_code == 422
    assert (
        client.put("/api/label/pictures/gone.jpg", json={"revision": 1, "state": "labelled", "faces": []}).status_code == 404
    )


def test_accepting_takes_only_what_is_certain_and_as_it_was_seen(tmp_path: Path) -> None:
    project = new_project(tmp_path / "faces", task="boxes")
    names = [row["file_name"] for row in project.rows()]
    doubts = {40: found(0.9), 60: found(0.5), 80: found(), 100: found(0.9, 0.8)}
    model = Finder(lambda image: doubts[round(image.mean() / 20) * 20], threshold=0.4, sure=0.6, floor=0.3)
    desk = LabelDesk(project, model)
    for name in names:
        desk.picture(name)
    assert [item["file_name"] for item in desk.certain()] == [names[0], names[3]]
    assert desk.certain()[1]["boxes"] == [[10, 20, 50, 70], [70, 20, 110, 70]]
    with TestClient(create_app(label_router(desk), access=Access()), base_url=HOME) as client:
        edit(client, names[3], 1, [face()], "suggested")  # one face is missing now: no longer what the model sees
        seen = [{"file_name": name, "revision": 1} for name in [*names, "gone.jpg"]]
        told = client.post("/api/label/accept", json={"pictures": seen}).json()
    assert [item["file_name"] for item in told["accepted"]] == names[:1]
    assert told["accepted"][0]["before"]["state"] == "unlabelled"
    assert len(told["refused"]) == 4
    row = project.row(names[0])
    assert row["state"] == "labelled"
    assert row["faces"][0]["by"] == "model"
    assert project.row(names[1])["state"] == "unlabelled"


def test_a_question_that_the_model_cannot_answer_is_never_certain(desk: LabelDesk) -> None:
    name = desk.project.rows()[0]["file_name"]
    told = desk.picture(name)
    assert told["margin"] == 1
    assert not told["is_certain"]
    entry = {**told["suggestions"][0], "attributes": {"mask": "mask"}}
    desk.project.update(name, faces=[entry], revision=1, state="suggested")
    assert desk.item(desk.row(name))["is_certain"]


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def run_service(root: Path, port: int) -> None:
    desk = LabelDesk(Project.open(root))
    serve(create_app(label_router(desk), access=Access()), listen("127.0.0.1", port), on_end=desk.close)


@contextlib.contextmanager
def service(root: Path, port: int) -> Iterator[tuple[Any, httpx.Client]]:
    """The service in a process of its own, killed at the end."""
    process = multiprocessing.get_context("fork").Process(target=run_service, args=(root, port), daemon=True)
    process.start()
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            deadline = time.monotonic() + 30
            while True:
                try:
                    client.get("/healthz")
                    break
                except httpx.TransportError:
                    if time.monotonic() > deadline or not process.is_alive():
                        pytest.fail("the service did not start")
                    time.sleep(0.01)
            yield process, client
    finally:
        process.kill()
        process.join()


needs_fork = pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="needs fork")


@needs_fork
def test_kill_loses_nothing_that_was_answered_and_at_most_one_edit(tmp_path: Path, port: int) -> None:
    """200 edits, 20 kills: half of them after an answer, half while an edit is on its way."""
    project = new_project(tmp_path / "killed", count=5)
    names = [row["file_name"] for row in project.rows()]
    revisions = dict.fromkeys(names, 1)
    rng = np.random.default_rng(1)
    edits = lost = 0
    for kill in range(20):
        with service(project.root, port) as (process, client):
            for number in range(10):
                name = names[edits % len(names)]
                body = {"revision": revisions[name], "state": "labelled", "faces": [face(score=edits / 1000)]}
                edits += 1
                if kill % 2 and number == 9:
                    threading.Timer(float(rng.uniform(0, 0.006)), process.kill).start()
                    with contextlib.suppress(httpx.TransportError):
                        client.put(f"/api/label/pictures/{name}", json=body)
                else:
                    assert client.put(f"/api/label/pictures/{name}", json=body).status_code == 200
                    revisions[name] += 1
        rows = {row["file_name"]: row for row in Project.open(project.root).rows()}
        if kill % 2:
            assert rows[name]["revision"] - revisions[name] in (0, 1)
            lost += rows[name]["revision"] == revisions[name]
            revisions[name] = rows[name]["revision"]
        else:
            assert rows[name]["faces"][0]["score"] == pytest.approx((edits - 1) / 1000)
        assert {name: row["revision"] for name, row in rows.items()} == revisions
    assert edits == 200
    assert lost <= 10


@needs_fork
def test_it_ends_in_order_when_told_to(tmp_path: Path, port: int) -> None:
    project = new_project(tmp_path / "ended", count=1)
    name = project.rows()[0]["file_name"]
    with service(project.root, port) as (process, client):
        assert edit(client, name, 1, [face()]).status_code == 200
        process.terminate()
        process.join(10)
        assert not process.is_alive()
    rows = [json.loads(line) for line in (project.pictures / "metadata.jsonl").read_text().splitlines()]
    assert rows[0]["state"] == "labelled"


# --- the command ---------------------------------------------------------------------------------------------------


def test_a_taken_port_is_one_line_or_another_port() -> None:
    with listen("127.0.0.1", 0) as taken:
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=r"expected an address and a free port.*--port"):
            listen("127.0.0.1", port)
        with listen("127.0.0.1", port, is_fallback_allowed=True) as other:
            assert other.getsockname()[1] != port
            assert address_of(other, "/label").startswith("http://127.0.0.1:")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--host", "0.0.0.0"], "expected an address of this machine alone"),
        (["--host", "0.0.0.0", "--token", "short"], "token: expected at least 16"),
        (["--host", "no.such.host.invalid", "--token", TOKEN, "--no-suggest"], "expected an address and a free port"),
        (["--model", "nobody"], "no shipped model is called"),
    ],
)
def test_the_command_refuses_in_one_line(
    project: Project, arguments: list[str], message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["mien", "label", str(project.root), "--no-browser", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    told = capsys.readouterr().err
    assert ended.value.code == 2
    assert message in told
    assert told.count("\n") == 1


def test_the_command_says_what_to_install(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    unload(monkeypatch, "mien.serve")
    monkeypatch.setitem(sys.modules, "fastapi", None)
    monkeypatch.setattr(sys, "argv", ["mien", "label", str(project.root)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    assert "pip install 'mien[serve]'" in capsys.readouterr().err


def test_the_command_serves_a_project(project: Project, port: int) -> None:
    words = [
        sys.executable,
        "-m",
        "mien.cli",
        "label",
        str(project.root),
        "--port",
        str(port),
        "--no-browser",
        "--no-suggest",
    ]
    server = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=Path(cli.__file__).parents[2])
    try:
        line = server.stdout.readline() if server.stdout else ""
        assert f"http://127.0.0.1:{port}/label" in line
        assert httpx.get(f"http://127.0.0.1:{port}/api/label").json()["name"] == "masks"
    finally:
        server.terminate()
        assert server.wait(timeout=10) in (0, -signal.SIGTERM, 143)

"""The labelling page in a real browser, with real clicks and keys."""

from __future__ import annotations

import contextlib
import hashlib
import json
import multiprocessing
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("fastapi", reason="pip install 'mien[serve]'")
pytest.importorskip("uvicorn", reason="pip install 'mien[serve]'")

import uvicorn

from mien.data.project import NewPicture, Project
from mien.serve.access import Access
from mien.serve.app import STATIC, address_of, create_app, listen, serve
from mien.serve.label import LabelDesk, label_router
from mien.serve.suggest import Finder
from mien.types import Faces

WEB = Path(__file__).resolve().parents[1] / "web"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or "/usr/bin/chromium"
FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"),
    *("--disable-sync", "--no-first-run"),
]
TOKEN = "correct horse battery"  # noqa: S105
WIDTH, HEIGHT = 400, 300


def test_the_committed_page_was_built_from_the_committed_sources() -> None:
    """Works without node: the build writes the hash of what it was made from."""
    files = [path for path in (WEB / "src").rglob("*") if path.is_file()] + [WEB / "index.html", WEB / "vite.config.ts"]
    found = hashlib.sha256()
    for name in sorted(path.relative_to(WEB).as_posix() for path in files):
        found.update(f"{name}\n".encode() + (WEB / name).read_bytes() + b"\n")
    assert (STATIC / "sources.sha256").read_text().strip() == found.hexdigest(), "the page is out of date; run: make web"


@pytest.mark.skipif(not (WEB / "node_modules").is_dir() or not shutil.which("npm"), reason="needs node: cd web && npm ci")
def test_building_again_gives_the_committed_page(tmp_path: Path) -> None:
    subprocess.run(
        ["npx", "vite", "build", "--outDir", str(tmp_path), "--logLevel", "error"], cwd=WEB, check=True, timeout=120
    )
    built, kept = ({path.name: path.read_bytes() for path in folder.iterdir()} for folder in (tmp_path, STATIC))
    assert built == kept, "the page is out of date; run: make web"


needs_chromium = pytest.mark.skipif(
    not Path(CHROMIUM).exists(), reason="needs chromium, such as Debian's package of that name"
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    driver = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install 'mien[dev]'")
    with driver.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


def faces(*scores: float) -> Faces:
    boxes = [[40 + 130 * number, 60, 120 + 130 * number, 160] for number in range(len(scores))]
    points = [
        [[x + 130 * number, y] for x, y in ((100, 95), (60, 95), (80, 115), (95, 135), (65, 135))]
        for number in range(len(scores))
    ]
    return Faces(boxes, scores, points)


SEEN = {40: faces(0.9), 60: faces(0.9, 0.45), 80: faces(0.9, 0.35), 100: faces()}
"""What the stand-in for a model sees, by the grey of the picture."""


def look(image: np.ndarray) -> Faces:
    return SEEN[min(SEEN, key=lambda grey: abs(grey - image.mean()))]


def new_project(root: Path, task: str = "mask", greys: tuple[int, ...] = (40, 60, 80), name: str = "p") -> Project:
    project = Project.create(root, task=task)
    project.add(NewPicture(np.full((HEIGHT, WIDTH, 3), grey, np.uint8), name=f"{name}{grey}") for grey in greys)
    return project


@pytest.fixture
def open_page(browser: Any) -> Iterator[Callable[..., Any]]:
    """Serves a project and shows it; anything the page complains of fails the test."""
    stack = contextlib.ExitStack()
    complaints: list[str] = []

    def show(address: str, **options: Any) -> Any:
        context = browser.new_context(viewport={"width": 1280, "height": 800}, **options)
        stack.callback(context.close)
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "console",
            lambda line: complaints.append(line.text) if line.type == "error" and "status of" not in line.text else None,
        )
        page.goto(address)
        return page

    def start(project: Project, token: str = "") -> str:
        desk = LabelDesk(project, Finder(look, threshold=0.4, sure=0.6, floor=0.3))
        bound = listen("127.0.0.1", 0)
        server = uvicorn.Server(
            uvicorn.Config(create_app(label_router(desk), access=Access(token=token)), log_level="warning")
        )
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
        thread.start()
        desk.start()

        def end() -> None:
            server.should_exit = True
            thread.join(10)
            desk.close()

        stack.callback(end)
        return address_of(bound, "/label")

    start.show = show  # type: ignore[attr-defined]
    yield start
    stack.close()
    forgiven = ("ERR_CONNECTION_REFUSED", "ERR_CONNECTION_RESET", "ERR_EMPTY_RESPONSE", "ERR_FAILED")
    assert not [text for text in complaints if not any(word in text for word in forgiven)]


def row_of(project: Project, grey: int) -> dict[str, Any]:
    return next(row for row in Project.open(project.root).rows() if row["file_name"].split("-")[0].endswith(str(grey)))


def until(check: Callable[[], bool], what: str, patience_s: float = 15) -> None:
    """Wait for something; a key or a place that is not there yet is no more than not yet."""
    deadline = time.monotonic() + patience_s
    is_done = False
    while not is_done:
        with contextlib.suppress(KeyError, IndexError):
            is_done = check()
        if not is_done and time.monotonic() > deadline:
            pytest.fail(f"waited in vain: {what}")
        time.sleep(0.05)


def open_picture(page: Any, grey: int) -> None:
    page.get_by_role("option", name=f"p{grey}").click()
    until(lambda: page.locator(".stage > img").get_attribute("alt").startswith(f"p{grey}"), "the picture")
    page.wait_for_selector(".stage > img.there")


def on_screen(page: Any, x: float, y: float) -> tuple[float, float]:
    """Where a pixel of the picture lies on the screen."""
    frame = page.locator(".stage > img").bounding_box()
    return frame["x"] + x / WIDTH * frame["width"], frame["y"] + y / HEIGHT * frame["height"]


def drag(page: Any, start: tuple[float, float], end: tuple[float, float]) -> None:
    page.mouse.move(*on_screen(page, *start))
    page.mouse.down()
    page.mouse.move(*on_screen(page, *((a + b) / 2 for a, b in zip(start, end, strict=True))))
    page.mouse.move(*on_screen(page, *end))
    page.mouse.up()


@needs_chromium
def test_a_project_is_labelled_with_the_keyboard_alone(open_page: Any, tmp_path: Path) -> None:
    project = new_project(tmp_path / "masks")
    page = open_page.show(open_page(project))
    page.wait_for_selector(".face.suggested")
    stage, seen = page.locator(".stage > img"), set[str]()
    for _ in range(3):
        until(lambda: stage.get_attribute("alt") not in seen and page.locator(".face.suggested").count() > 0, "the next")
        file = stage.get_attribute("alt")
        seen.add(file)
        for _ in range(page.locator(".face.suggested").count()):
            page.keyboard.press("2")
        page.keyboard.press("Enter")
        until(lambda file=file: Project.open(project.root).row(file)["state"] == "labelled", "saved")  # type: ignore[misc]
    page.get_by_text("All 3 pictures are labelled").wait_for()
    kept = {grey: row_of(project, grey) for grey in (40, 60, 80)}
    assert [len(row["faces"]) for row in kept.values()] == [1, 2, 1]  # the doubtful one was not taken
    assert all(face["attributes"] == {"mask": "no_mask"} for row in kept.values() for face in row["faces"])
    assert all(face["by"] == "person" for row in kept.values() for face in row["faces"])
    assert kept[40]["faces"][0]["keypoints"]["nose"] == [80, 115]
    until(lambda: page.get_by_role("progressbar").get_attribute("aria-valuenow") == "3", "counted")


@needs_chromium
def test_boxes_and_points_are_drawn_moved_and_deleted_with_the_mouse(open_page: Any, tmp_path: Path) -> None:
    project = new_project(tmp_path / "masks")
    page = open_page.show(open_page(project))
    open_picture(page, 40)
    page.wait_for_selector(".face.suggested")

    drag(page, (250, 150), (330, 260))  # a new face
    until(lambda: len(row_of(project, 40).get("faces", ())) == 2, "the new face")
    assert row_of(project, 40)["state"] == "suggested"
    assert np.allclose(row_of(project, 40)["faces"][1]["box"], [250, 150, 330, 260], atol=1.5)

    drag(page, (330, 260), (350, 280))  # its corner
    until(lambda: np.allclose(row_of(project, 40)["faces"][1]["box"], [250, 150, 350, 280], atol=1.5), "the corner")
    drag(page, (300, 200), (290, 190))  # all of it
    until(lambda: np.allclose(row_of(project, 40)["faces"][1]["box"], [240, 140, 340, 270], atol=1.5), "the move")

    page.keyboard.press("p")  # its points, one skipped
    page.get_by_text("Click the left eye").wait_for()
    page.mouse.click(*on_screen(page, 310, 180))
    page.get_by_text("Click the right eye").wait_for()
    page.keyboard.press("x")
    page.get_by_text("Click the nose").wait_for()
    page.mouse.click(*on_screen(page, 290, 210))
    page.keyboard.press("Escape")
    until(lambda: set(row_of(project, 40)["faces"][1].get("keypoints", ())) == {"left_eye", "nose"}, "two points")
    drag(page, (290, 210), (280, 220))
    until(lambda: np.allclose(row_of(project, 40)["faces"][1]["keypoints"]["nose"], [280, 220], atol=1.5), "the point")

    page.mouse.click(*on_screen(page, 50, 150))  # the suggested one
    page.get_by_role("button", name="mask worn wrongly").click()
    until(lambda: row_of(project, 40)["faces"][0]["attributes"] == {"mask": "bad_mask"}, "the answer")
    page.mouse.click(*on_screen(page, 250, 260))
    page.keyboard.press("i")
    until(lambda: row_of(project, 40)["faces"][1].get("ignore") is True, "ignored")
    page.keyboard.press("Delete")
    until(lambda: len(row_of(project, 40)["faces"]) == 1, "deleted")
    for _ in range(3):
        page.keyboard.press("Control+z")
    until(lambda: len(row_of(project, 40)["faces"]) == 2 and not row_of(project, 40)["faces"][1].get("ignore"), "undone")
    page.keyboard.press("Control+Shift+z")
    until(lambda: row_of(project, 40)["faces"][0].get("attributes") == {"mask": "bad_mask"}, "done again")


@needs_chromium
def test_arrow_keys_move_and_resize_and_count_as_one_step(open_page: Any, tmp_path: Path) -> None:
    project = new_project(tmp_path / "boxes", task="boxes", greys=(40,))
    page = open_page.show(open_page(project))
    page.wait_for_selector(".face.selected")
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    until(lambda: row_of(project, 40).get("faces", [{}])[0].get("box") == [45, 60, 125, 160], "moved")
    assert row_of(project, 40)["faces"][0]["keypoints"]["nose"] == [85, 115]
    page.keyboard.press("Alt+Shift+ArrowDown")
    until(lambda: row_of(project, 40)["faces"][0]["box"] == [45, 60, 125, 170], "resized")
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+z")
    until(lambda: row_of(project, 40)["state"] == "unlabelled", "back at the beginning")


@needs_chromium
def test_the_least_certain_picture_comes_first(open_page: Any, tmp_path: Path) -> None:
    project = new_project(tmp_path / "masks", greys=(40, 80, 60))
    page = open_page.show(open_page(project))
    page.wait_for_selector(".meter.sure")
    page.reload()
    page.wait_for_selector(".face")
    names = page.locator(".strip .row .name")
    until(lambda: [name[:3] for name in names.all_text_contents()] == ["p60", "p80", "p40"], "the order")
    until(lambda: page.locator(".stage > img").get_attribute("alt").startswith("p60"), "the first")


@needs_chromium
def test_certain_pictures_are_accepted_together_and_given_back(open_page: Any, tmp_path: Path) -> None:
    project = new_project(tmp_path / "boxes", task="boxes", greys=(40, 60, 100))
    page = open_page.show(open_page(project))
    page.get_by_role("button", name="Accept the pictures that the model is certain of").get_by_text(
        "Accept 1 certain"
    ).wait_for()
    page.keyboard.press("c")
    page.get_by_role("dialog", name="Accept 1 picture?").wait_for()
    until(lambda: page.locator(".tile rect").count() == 1, "one face in the only tile")
    page.get_by_role("button", name="Accept", exact=True).click()
    until(lambda: row_of(project, 40)["state"] == "labelled", "accepted")
    assert row_of(project, 40)["faces"][0]["by"] == "model"
    assert row_of(project, 100)["state"] == "unlabelled"  # where the model sees nobody, a person looks
    page.get_by_role("status").get_by_role("button", name="Undo").click()
    until(lambda: row_of(project, 40)["state"] == "unlabelled", "given back")


@needs_chromium
def test_nobody_in_the_picture_and_filters(open_page: Any, tmp_path: Path) -> None:
    project = new_project(tmp_path / "masks", greys=(100, 40))
    page = open_page.show(open_page(project))
    open_picture(page, 100)
    page.keyboard.press("n")
    until(lambda: row_of(project, 100)["state"] == "labelled", "nobody")
    assert row_of(project, 100)["faces"] == []
    page.get_by_role("button", name="Done, 1 picture").click()
    until(lambda: page.locator(".strip .row").count() == 1, "the others are gone")
    assert page.get_by_role("option", name="p100").is_visible()


@needs_chromium
def test_enter_asks_for_the_missing_answer_first(open_page: Any, tmp_path: Path) -> None:
    project = new_project(tmp_path / "masks", greys=(40,))
    page = open_page.show(open_page(project))
    page.wait_for_selector(".face.suggested")
    page.keyboard.press("Enter")
    page.get_by_text("This face has no answer yet").wait_for()
    assert row_of(project, 40)["state"] == "unlabelled"
    page.keyboard.press("Shift+Enter")
    until(lambda: row_of(project, 40)["state"] == "labelled", "confirmed all the same")


@needs_chromium
@pytest.mark.parametrize("keeps_own", [False, True])
def test_two_tabs_cannot_overwrite_each_other(open_page: Any, tmp_path: Path, keeps_own: bool) -> None:
    project = new_project(tmp_path / "masks", greys=(40,))
    address = open_page(project)
    one, other = open_page.show(address), open_page.show(address)
    for page in (one, other):
        page.route("**/api/label/changes*", lambda route: route.abort())
        page.wait_for_selector(".face.suggested")
    one.keyboard.press("1")
    until(lambda: row_of(project, 40)["revision"] == 2, "the first edit")
    other.keyboard.press("3")
    other.get_by_role("dialog", name="Changed in another window").wait_for()
    assert row_of(project, 40)["faces"][0]["attributes"] == {"mask": "mask"}
    other.get_by_role("button", name="Keep what is here" if keeps_own else "Take what is there").click()
    if keeps_own:
        until(lambda: row_of(project, 40)["faces"][0]["attributes"] == {"mask": "bad_mask"}, "overwritten knowingly")
    else:
        other.get_by_role("button", name="Face 1, mask, yours").wait_for()
        assert row_of(project, 40)["revision"] == 2


def run_service(root: Path, port: int) -> None:
    serve(create_app(label_router(LabelDesk(Project.open(root))), access=Access()), listen("127.0.0.1", port))


@needs_chromium
@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="needs fork")
def test_edits_wait_for_a_killed_service_to_come_back(open_page: Any, tmp_path: Path) -> None:
    project = new_project(tmp_path / "masks", greys=(40,))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    # Not forked: the browser's driver runs in this process.
    processes = [
        multiprocessing.get_context("spawn").Process(target=run_service, args=(project.root, port)) for _ in range(2)
    ]

    def begin(process: Any) -> None:
        process.start()

        def answers() -> bool:
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0

        until(answers, "the service", 60)

    try:
        begin(processes[0])
        page = open_page.show(f"http://127.0.0.1:{port}/label")
        page.wait_for_selector(".stage > img.there")
        drag(page, (40, 60), (120, 160))
        until(lambda: len(row_of(project, 40).get("faces", ())) == 1, "the first edit")
        processes[0].kill()
        processes[0].join()
        page.keyboard.press("2")
        drag(page, (200, 60), (280, 160))
        page.get_by_text("the service does not answer").wait_for()
        assert len(row_of(project, 40)["faces"]) == 1
        begin(processes[1])
        until(lambda: len(row_of(project, 40)["faces"]) == 2, "the edits made meanwhile", 30)
        assert row_of(project, 40)["faces"][0]["attributes"] == {"mask": "no_mask"}
        page.get_by_text("Saved").wait_for()
    finally:
        for process in processes:
            if process.pid is not None:
                process.kill()
                process.join()


@needs_chromium
def test_names_are_text_whatever_is_in_them(open_page: Any, tmp_path: Path) -> None:
    project = new_project(tmp_path / "masks", greys=(40,))
    (row,) = project.rows()
    evil = (
        "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>&amp;'\"#?%2e%2e.jpg".replace(
            "/", "\u2044"
        )
    )
    shutil.copy(project.pictures / row["file_name"], project.pictures / evil)
    project.close()
    table = project.pictures / "metadata.jsonl"
    table.write_text(json.dumps({**row, "file_name": evil}) + "\n")
    (project.root / "journal.jsonl").unlink()
    page = open_page.show(open_page(Project.open(project.root)))
    page.wait_for_selector(".face.suggested")
    assert page.locator(".strip .row .name").text_content() == evil
    assert page.title() != "owned"
    page.keyboard.press("1")
    page.keyboard.press("Enter")
    until(lambda: Project.open(project.root).row(evil)["state"] == "labelled", "saved under that name")


@needs_chromium
def test_with_a_token_the_page_asks_for_it_once(open_page: Any, tmp_path: Path) -> None:
    page = open_page.show(open_page(new_project(tmp_path / "masks"), token=TOKEN))
    page.get_by_label("The one that the service was started with").fill("something else")
    page.keyboard.press("Enter")
    page.get_by_text("That is not the token").wait_for()
    page.locator("#token").fill(TOKEN)
    page.keyboard.press("Enter")
    page.wait_for_selector(".face.suggested")
    page.reload()
    page.wait_for_selector(".face.suggested")


@needs_chromium
def test_help_theme_zoom_and_names_for_screen_readers(open_page: Any, tmp_path: Path) -> None:
    page = open_page.show(open_page(new_project(tmp_path / "masks")), color_scheme="dark")
    page.wait_for_selector(".face.suggested")
    page.keyboard.press("?")
    keys = page.get_by_role("dialog", name="Keys")
    for text in ("Confirm and go on to the next", "Answer: mask worn wrongly", "Undo", "Zoom to the face and back"):
        keys.get_by_text(text).wait_for()
    page.keyboard.press("Escape")
    keys.wait_for(state="hidden")
    page.get_by_role("button", name="Light colours").click()
    until(lambda: page.evaluate("document.documentElement.dataset.theme") == "light", "light colours")
    page.get_by_role("button", name="Dark colours").wait_for()
    before = page.locator("output").text_content()
    page.mouse.move(*on_screen(page, 80, 100))
    page.mouse.wheel(0, -300)
    until(lambda: page.locator("output").text_content() != before, "zoomed in")
    page.keyboard.press("0")
    until(lambda: page.locator("output").text_content() == before, "the whole picture")
    nameless = page.evaluate(
        "[...document.querySelectorAll('button, input, select, a')].filter((one) => "
        "!(one.getAttribute('aria-label') || one.labels?.length || one.textContent.trim())).length"
    )
    assert nameless == 0
    for width, height in ((1280, 800), (1024, 640)):
        page.set_viewport_size({"width": width, "height": height})
        page.wait_for_timeout(150)
        overflow = page.evaluate(
            "['html', '.panel'].map((name) => document.querySelector(name)).map((one) => one.scrollWidth > one.clientWidth)"
        )
        assert overflow == [False, False]
        button = page.get_by_role("button", name="Confirm and go on to the next").bounding_box()
        assert button["y"] + button["height"] <= height
        assert button["x"] + button["width"] <= width


@needs_chromium
def test_an_empty_project_says_what_to_do(open_page: Any, tmp_path: Path) -> None:
    page = open_page.show(open_page(Project.create(tmp_path / "none", task="mask")))
    page.get_by_text("No pictures yet").wait_for()
    if folder := os.environ.get("MIEN_SCREENSHOTS"):
        page.screenshot(path=str(Path(folder) / "empty.png"))

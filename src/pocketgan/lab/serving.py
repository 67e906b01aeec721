"""The server of the lab: addresses, sockets, and what each of them answers. docs/lab.md lists them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import shutil
import socket
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import torch
import uvicorn
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from pocketgan import api
from pocketgan.core.config import complaint
from pocketgan.core.errors import PocketganError, UsageError
from pocketgan.export import FORMATS
from pocketgan.lab import drawing, labelling
from pocketgan.lab.breaking import CARDS, prepare, twin_words, words_of
from pocketgan.lab.guarding import PAPER, Guard, Keys
from pocketgan.lab.playing import LONGEST, Models
from pocketgan.lab.runs import Shelf, events_of, summary_of
from pocketgan.lab.training import checked_recipe, fields, recipe_facts, shown, train_words
from pocketgan.lab.watching import Feed, Page, is_paused
from pocketgan.lab.working import Job, Jobs, Launched, Watch, checked_name
from pocketgan.recipes import GAN_PRESETS
from pocketgan.recipes.costs import recipe_rows
from pocketgan.runs.folder import RunFolder
from pocketgan.runs.live import OFFERED
from pocketgan.training.listeners import COMMANDS

STATIC = Path(__file__).parent / "static"
MOST_SOCKETS = 48
MOST_FRAME = 300_000  # bytes that a page may send through a socket: 256 latents of 256 numbers, and more
MOST_PICTURE = 8 << 20  # of a file of a run
EVERYWHERE = ("0.0.0.0", "::")
READING = ("rate",)  # commands of those who may look only
NOT_BUILT = "The lab's pages are not built. In pocketgan's source folder: cd web && npm ci && npm run build\n"
KINDS = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}


class Body(BaseModel):
    """What a request brings."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Start(Body):
    """A new training."""

    recipe: str = Field(default="pocket", max_length=1000)
    name: str
    options: dict[str, str | int | float | bool] = Field(default={}, max_length=64)


class Labels(Body):
    """A person's labels by file name; null sets a fake aside. What is taken back is as it was before them."""

    labels: dict[str, int | None] = Field(default={}, max_length=1000)
    taken_back: list[str] = Field(default=[], max_length=1000)


class Fit(Body):
    """Steering to fit."""

    method: list[str] = Field(default=["flow", "directions"], min_length=1, max_length=6)
    latents: int = Field(default=200_000, ge=1, le=1_000_000)
    steps: int = Field(default=1000, ge=1, le=100_000)


class Compare(Body):
    """Runs to lay side by side."""

    runs: list[str] = Field(min_length=2, max_length=20)


class Export(Body):
    """Formats to export to."""

    to: list[str] = Field(min_length=1, max_length=len(FORMATS))


class Wanted(BaseModel):
    """Latents that are asked for, as the address says it."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    count: int = Field(default=64, ge=1, le=256)
    seed: int = Field(default=0, ge=0, lt=2**53)
    start: int = Field(default=0, ge=0, lt=2**31)
    label: int | None = Field(default=None, ge=0, lt=10_000)
    method: str | None = Field(default=None, max_length=40)
    slant: float = Field(default=0.0, ge=-LONGEST, le=LONGEST)
    thickness: float = Field(default=0.0, ge=-LONGEST, le=LONGEST)
    width: float = Field(default=0.0, ge=-LONGEST, le=LONGEST)


BodyT = TypeVar("BodyT", bound=BaseModel)
Handler = Callable[[Request], Awaitable[Response]]


class Lab:
    """All that one server knows.

    Parameters
    ----------
    folder
        Where runs lie and are made.
    """

    def __init__(self, folder: Path) -> None:
        self.shelf, self.jobs = Shelf(folder), Jobs()
        self.models = Models(self.shelf)
        self.looking = ThreadPoolExecutor(1, "look")
        self.feeds: dict[str, Feed] = {}
        self.fits: dict[str, Job] = {}  # the last one of each model
        self.launched: dict[str, Launched] = {}
        self.places: dict[str, Path] = {}  # of what was launched
        self.minutes: dict[str, float] = {}
        self.sockets = 0
        self.scratch = Path(tempfile.mkdtemp(prefix="pocketgan-lab-"))

    async def look(self, work: Callable[..., Any], *arguments: Any) -> Any:
        """Do short work in the one thread that looks."""
        return await asyncio.get_running_loop().run_in_executor(self.looking, work, *arguments)

    def close(self) -> None:
        """Give up what this server alone does; trainings go on."""
        self.jobs.close()
        for launched in self.launched.values():
            launched.close()
        self.looking.shutdown(wait=False, cancel_futures=True)
        shutil.rmtree(self.scratch, ignore_errors=True)

    # ---- runs ------------------------------------------------------------------------------------------------------

    async def list_runs(self, request: Request) -> Response:
        rows = await asyncio.to_thread(
            lambda: [summary_of(self.shelf, name, run) for name, run in self.shelf.runs().items()]
        )
        running = [row for row in rows if row["state"] == "running"]
        paused = await asyncio.gather(*(is_paused(self.shelf.run(row["id"])) for row in running))
        for row, is_so in zip(running, paused, strict=True):
            row["state"] = "paused" if is_so else "running"
        return JSONResponse(
            {"folder": self.shelf.folder.name, "runs": rows, "watchable": OFFERED, "command": "pocketgan report RUN"}
        )

    async def show_run(self, request: Request) -> Response:
        run, identity = self._run(request), request.path_params["run"]
        launched = self.launched.get(identity)
        if launched is not None and not run.is_begun:
            state = "starting" if launched.code is None else "stopped"
            told = {"code": launched.code, "said": launched.last_words(), "command": shown(launched.words)}
            row = {"id": identity, "name": run.path.name, "state": state, "why": told["said"], "launched": told}
            return JSONResponse({**row, "events": [], "command": told["command"]})
        facts = await asyncio.to_thread(summary_of, self.shelf, identity, run)
        if facts["state"] == "running" and await is_paused(run):
            facts["state"] = "paused"
        if launched is not None:
            facts["launched"] = {"code": launched.code, "said": launched.last_words(), "command": shown(launched.words)}
        events = [] if facts["state"] == "damaged" else events_of(run)
        return JSONResponse({**facts, "events": events, "command": f"pocketgan info {run}"})

    async def sample(self, request: Request) -> Response:
        content = labelling.picture_of(self._run(request).sample_file(request.path_params["epoch"]), MOST_PICTURE)
        return Response(content, media_type="image/png")

    async def report(self, request: Request) -> Response:
        """The report, in a sandbox: it runs no script and reaches nothing, whoever wrote it."""
        content = labelling.picture_of(self._run(request).report, 4 * MOST_PICTURE)
        return Response(content, media_type="text/html", headers={"content-security-policy": PAPER})

    async def scorecard(self, request: Request) -> Response:
        run = self._run(request)
        from pocketgan.scorecard.card import CARD

        content = await asyncio.to_thread(labelling.picture_of, run.scorecard / CARD, MOST_PICTURE)
        return Response(content, media_type="application/json")

    async def write_report(self, request: Request) -> Response:
        run = self._run(request)

        def work(watch: Watch) -> str:
            api.write_report(run.path)
            return "report"

        return self._job("report", f"pocketgan report {run}", work)

    async def compare(self, request: Request) -> Response:
        asked = await self._body(request, Compare)
        folders = [self.shelf.run(identity).path for identity in asked.runs]

        def work(watch: Watch) -> Any:
            return api.compare(*folders, device="cpu", quiet=True).model_dump(mode="json")

        return self._job("compare", f"pocketgan compare {' '.join(map(str, folders))}", work)

    async def export(self, request: Request) -> Response:
        run, asked = self._run(request), await self._body(request, Export)
        out = run.path.parent / f"{run.path.name}-export-{secrets.token_hex(3)}"

        def work(watch: Watch) -> list[str]:
            return [
                str(one.path.relative_to(out)) for one in api.export_model(run.path, to=asked.to, out=out, quiet=True)
            ]

        return self._job("export", f"pocketgan export {run} --to {','.join(asked.to)} --out {out}", work)

    # ---- train and break -------------------------------------------------------------------------------------------

    async def recipes(self, request: Request) -> Response:
        rows = [row._replace(minutes=self.minutes.get(row.name)) for row in recipe_rows() if row.is_pair]
        return JSONResponse({"recipes": list(map(recipe_facts, rows)), "command": "pocketgan recipes"})

    async def measure(self, request: Request) -> Response:
        def work(watch: Watch) -> dict[str, float]:
            measured = {row.name: row.minutes for row in api.list_recipes(quiet=True) if row.minutes is not None}
            self.minutes.update(measured)
            return measured

        return self._job("measure", "pocketgan recipes", work)

    async def fields(self, request: Request) -> Response:
        return JSONResponse({"fields": fields(), "command": "pocketgan train --help"})

    async def start(self, request: Request) -> Response:
        asked = await self._body(request, Start)
        if asked.recipe not in GAN_PRESETS and not (asked.recipe.endswith(".toml") and asked.recipe[0] != "-"):
            raise UsageError(f"recipe '{asked.recipe}' is unknown; give a preset's name, or the path of a .toml file")
        await asyncio.to_thread(checked_recipe, asked.recipe, dict(asked.options))
        name = checked_name(asked.name)
        if (self.shelf.folder / name).exists():
            raise UsageError(f"a run is called {name} already; choose another name, or go on with it")
        return self._launch(name, lambda out: train_words(asked.recipe, out, dict(asked.options)))

    async def go_on(self, request: Request) -> Response:
        run = self._run(request)
        return self._launch_in(run.path, ["train", str(run.recipe_file), "--out", str(run.path)])

    async def cards(self, request: Request) -> Response:
        return JSONResponse({"cards": [card.as_json() for card in CARDS.values()], "command": "pocketgan train --help"})

    async def break_it(self, request: Request) -> Response:
        card = CARDS.get(request.path_params["card"])
        if card is None:
            raise UsageError("there is no such card")
        asked = await self._body(request, Seeded)
        mark = secrets.token_hex(2)
        started = []
        await asyncio.to_thread(prepare, card, self.shelf.folder)
        for name, words in ((f"break-{card.id}-{mark}", words_of), (f"twin-{card.id}-{mark}", twin_words)):
            out = self.shelf.folder / name
            started.append(self._launched(out, words(card, str(out), asked.seed, self.shelf.folder)))
        return JSONResponse({"broken": started[0], "twin": started[1], "command": started[0]["command"]})

    def _launch(self, name: str, words: Callable[[str], list[str]]) -> Response:
        out = self.shelf.folder / name
        return self._launch_in(out, words(str(out)))

    def _launch_in(self, out: Path, words: list[str]) -> Response:
        return JSONResponse(self._launched(out, words))

    def _launched(self, out: Path, words: list[str]) -> dict[str, Any]:
        identity = self.shelf.id_of(out)
        before = self.launched.get(identity)
        if before is not None and before.code is None:
            raise UsageError(f"{out.name} runs already")
        self.launched[identity], self.places[identity] = Launched(words), out
        return {"id": identity, "name": out.name, "command": shown(words)}

    # ---- play ------------------------------------------------------------------------------------------------------

    async def list_models(self, request: Request) -> Response:
        rows = await asyncio.to_thread(self.models.list)
        return JSONResponse({"models": rows, "command": "pocketgan info digits"})

    async def describe(self, request: Request) -> Response:
        identity = request.path_params["model"]
        job = self.fits.get(identity)
        told = await self.look(self.models.describe, identity)
        fitting = job.as_json() if job is not None and job.is_open else None
        return JSONResponse({**told, "fitting": fitting})

    async def latents(self, request: Request) -> Response:
        wanted = _valid(Wanted, dict(request.query_params)).model_dump()
        moves = {name: wanted.pop(name) for name in ("slant", "thickness", "width")}
        wanted["moves"] = {name: amount for name, amount in moves.items() if amount}
        return JSONResponse(await self.look(self.models.latents, request.path_params["model"], wanted))

    async def directions(self, request: Request) -> Response:
        return JSONResponse(await self.look(self.models.directions, request.path_params["model"]))

    async def picture(self, request: Request) -> Response:
        query = request.query_params
        scale = _whole(request, "scale", 16) or 1
        content = await self.look(
            self.models.picture,
            request.path_params["model"],
            query.get("z", ""),
            _whole(request, "label", 10_000),
            scale,
        )
        return Response(
            content, media_type="image/png", headers={"content-disposition": 'attachment; filename="image.png"'}
        )

    async def fit(self, request: Request) -> Response:
        asked, identity = await self._body(request, Fit), request.path_params["model"]
        place = self.models.place(identity)
        if not isinstance(place, Path):
            raise UsageError(f"{identity} came with the program, and nothing is fitted to it")
        before = self.fits.get(identity)
        if before is not None and before.is_open:
            raise UsageError("steering is being fitted to this model already")

        def work(watch: Watch) -> list[dict[str, Any]]:
            model, told = api.load(place, "cpu"), []
            for number, method in enumerate(asked.method):
                fitted = model.steer.fit(
                    method,
                    latents=asked.latents,
                    steps=asked.steps,
                    watch=lambda done, note, before=number, name=method: watch(  # type: ignore[misc]
                        (before + done) / len(asked.method), f"{name} {note}".strip()
                    ),
                )
                told.append({"method": method, "missing": model.steer.missing(fitted.facts)})
            self.models.forget(identity)
            return told

        methods = ",".join(asked.method)
        words = [
            "steer",
            "fit",
            str(place),
            "--method",
            methods,
            f"--latents={asked.latents}",
            f"--steps={asked.steps}",
        ]
        job = self.fits[identity] = self.jobs.start("fit", shown(words), work)
        return JSONResponse(job.as_json(), 202)

    async def draw(self, websocket: WebSocket) -> None:
        """Images of latents, at once: one answer for each request, or a line of text that says why not."""
        identity = websocket.path_params["model"]
        async with self._socket(websocket) as allowed:
            while allowed:
                message = await websocket.receive_bytes()
                try:
                    await websocket.send_bytes(await self.look(self.models.draw, identity, message))
                except PocketganError as error:
                    await websocket.send_json({"type": "error", "why": str(error)})

    # ---- draw ------------------------------------------------------------------------------------------------------

    async def invert(self, request: Request) -> Response:
        identity, given = request.path_params["model"], await request.body()
        label, centred = _whole(request, "label", 10_000), request.query_params.get("centred") == "1"
        test = _whole(request, "test", 1_000_000)
        model = await self.look(self.models.get, identity)
        target = await self.look(drawing.target_of, given, test, model, centred, self.scratch)

        stages: list[dict[str, Any]] = []

        def work(watch: Watch) -> dict[str, Any]:
            model = api.load(self.models.place(identity), "cpu")
            return drawing.inverted(model, target, label, watch, stages.append)

        command = f"pocketgan steer invert {self.models.named(identity)} PICTURE.png --out INVERTED"
        return self._job("invert", command, work, stages)

    async def target(self, request: Request) -> Response:
        """The picture that would be brought back, as the model's size has it."""
        identity, given = request.path_params["model"], await request.body()
        centred, test = request.query_params.get("centred") == "1", _whole(request, "test", 1_000_000)
        model = await self.look(self.models.get, identity)
        picture = await self.look(drawing.target_of, given, test, model, centred, self.scratch)
        return JSONResponse({**drawing.shown(picture), "command": "pocketgan steer invert"})

    # ---- label -----------------------------------------------------------------------------------------------------

    async def fakes(self, request: Request) -> Response:
        return JSONResponse(await self.look(labelling.fakes_of, self._run(request)))

    async def set_labels(self, request: Request) -> Response:
        asked = await self._body(request, Labels)
        return JSONResponse(await self.look(labelling.label, self._run(request), asked.labels, asked.taken_back))

    async def compared(self, request: Request) -> Response:
        return JSONResponse(await self.look(labelling.compared, self._run(request)))

    # ---- live ------------------------------------------------------------------------------------------------------

    async def live(self, websocket: WebSocket) -> None:
        """What a training tells, and what the page asks of it."""
        async with self._socket(websocket) as allowed:
            if not allowed:
                return
            try:
                run = self._known(websocket.path_params["run"])
            except UsageError as error:
                await websocket.send_json({"type": "error", "why": str(error)})
                return
            feed = self.feeds.setdefault(websocket.path_params["run"], Feed(run))
            page, by = Page(), secrets.token_hex(4)
            page.put({"type": "you", "id": by, "may_control": websocket.state.rank == "full"})
            feed.join(page)
            sending = asyncio.create_task(_send(websocket, page))
            try:
                while True:
                    content = _command(await websocket.receive_text(), websocket.state.rank)
                    if isinstance(content, str):
                        page.put({"type": "answer", "number": None, "ok": False, "why": content})
                    else:
                        feed.ask(page, content, by)
            finally:
                sending.cancel()
                feed.leave(page, by)

    @contextlib.asynccontextmanager
    async def _socket(self, websocket: WebSocket) -> AsyncIterator[bool]:
        """Accept a socket, unless there are too many; an end by the other side is no error."""
        allowed = self.sockets < MOST_SOCKETS
        self.sockets += allowed
        try:
            await websocket.accept()
            if not allowed:
                await websocket.close(1013)
            yield allowed
            if allowed:
                await websocket.close()
        except (WebSocketDisconnect, RuntimeError, KeyError):  # KeyError: text where bytes belong
            with contextlib.suppress(RuntimeError):
                await websocket.close(1003)
        finally:
            self.sockets -= allowed

    # ---- jobs ------------------------------------------------------------------------------------------------------

    async def job(self, request: Request) -> Response:
        return JSONResponse(self.jobs.get(request.path_params["job"]).as_json())

    async def cancel(self, request: Request) -> Response:
        job = self.jobs.get(request.path_params["job"])
        job.cancelled = True
        return JSONResponse(job.as_json())

    def _job(
        self, kind: str, command: str, work: Callable[[Watch], Any], stages: list[dict[str, Any]] | None = None
    ) -> Response:
        return JSONResponse(self.jobs.start(kind, command, work, stages).as_json(), 202)

    # ---- the rest --------------------------------------------------------------------------------------------------

    async def about(self, request: Request) -> Response:
        from importlib.metadata import version

        rank = request.scope["state"]["rank"]
        return JSONResponse({"version": version("pocketgan"), "may_change": rank == "full", "watchable": OFFERED})

    async def page(self, request: Request) -> Response:
        """A file of the built pages; every address of the page itself gives its beginning."""
        files = await asyncio.to_thread(_static_files)
        name = request.path_params.get("path", "")
        if name in files:
            file = files[name]
            headers = {"cache-control": "max-age=31536000, immutable"} if name.startswith("assets/") else {}
            return FileResponse(file, media_type=KINDS.get(file.suffix, "application/octet-stream"), headers=headers)
        if name.startswith(("api/", "assets/")) or "." in name.rpartition("/")[2]:
            return JSONResponse({"error": "there is nothing at this address"}, 404)
        if "index.html" not in files:
            return PlainTextResponse(NOT_BUILT)
        return FileResponse(files["index.html"], media_type="text/html")

    def _run(self, request: Request) -> RunFolder:
        return self._known(request.path_params["run"])

    def _known(self, identity: str) -> RunFolder:
        """The run of an id, also one that was started and has written nothing yet."""
        launched = self.launched.get(identity)
        begins = launched is not None and identity not in self.shelf.runs()
        return RunFolder(self.places[identity]) if begins else self.shelf.run(identity)

    async def _body(self, request: Request, kind: type[BodyT]) -> BodyT:
        try:
            content = json.loads(await request.body() or b"{}")
        except (ValueError, RecursionError) as error:
            raise UsageError(f"the request is no JSON ({error})") from error
        return _valid(kind, content)

    def routes(self) -> list[Route | WebSocketRoute]:
        """All addresses."""
        get, post = ["GET"], ["POST"]
        run, model = "/api/runs/{run:str}", "/api/models/{model:str}"
        return [
            Route("/api/about", self.about, methods=get),
            Route("/api/runs", self.list_runs, methods=get),
            Route("/api/runs", self.start, methods=post),
            Route("/api/compare", self.compare, methods=post),
            Route(run, self.show_run, methods=get),
            Route(f"{run}/go-on", self.go_on, methods=post),
            Route(f"{run}/samples/{{epoch:int}}", self.sample, methods=get),
            Route(f"{run}/report", self.report, methods=get),
            Route(f"{run}/report", self.write_report, methods=post),
            Route(f"{run}/scorecard", self.scorecard, methods=get),
            Route(f"{run}/export", self.export, methods=post),
            Route(f"{run}/fakes", self.fakes, methods=get),
            Route(f"{run}/labels", self.set_labels, methods=post),
            Route(f"{run}/compared", self.compared, methods=get),
            WebSocketRoute(f"{run}/live", self.live),
            Route("/api/recipes", self.recipes, methods=get),
            Route("/api/recipes/measure", self.measure, methods=post),
            Route("/api/fields", self.fields, methods=get),
            Route("/api/break", self.cards, methods=get),
            Route("/api/break/{card:str}", self.break_it, methods=post),
            Route("/api/models", self.list_models, methods=get),
            Route(model, self.describe, methods=get),
            Route(f"{model}/latents", self.latents, methods=get),
            Route(f"{model}/directions", self.directions, methods=get),
            Route(f"{model}/picture", self.picture, methods=get),
            Route(f"{model}/fit", self.fit, methods=post),
            Route(f"{model}/invert", self.invert, methods=post),
            Route(f"{model}/target", self.target, methods=post),
            WebSocketRoute(f"{model}/draw", self.draw),
            Route("/api/jobs/{job:str}", self.job, methods=get),
            Route("/api/jobs/{job:str}/cancel", self.cancel, methods=post),
            Route("/{path:path}", self.page, methods=get),
        ]


class Seeded(Body):
    """A card to play."""

    seed: int = Field(default=0, ge=0, lt=2**53)


def application(lab: Lab, keys: Keys, hosts: frozenset[str]) -> Guard:
    """The lab as an ASGI application."""

    async def refused(request: Request, error: Exception) -> Response:
        return JSONResponse({"error": str(error)}, 400 if isinstance(error, UsageError) else 422)

    return Guard(Starlette(routes=lab.routes(), exception_handlers={PocketganError: refused}), keys, hosts)


def serve(folder: Path, *, host: str, port: int, allowed: tuple[str, ...], open_to_all: bool) -> list[str]:
    """Serve until a signal comes; the addresses that were printed."""
    torch.set_num_threads(1)
    try:
        listening = socket.create_server((host, port))
    except OSError as error:
        raise UsageError(f"--host {host} --port {port}: {error.strerror or error}; choose another") from error
    port = listening.getsockname()[1]
    keys = Keys(reading=secrets.token_urlsafe(24) if open_to_all else None)
    own = allowed[0] if host in (*allowed, *EVERYWHERE) else host
    hosts = frozenset(f"{name}:{port}" for name in (*allowed, own))
    addresses = [f"http://{own}:{port}/?token={keys.full}"]
    if keys.reading is not None:
        addresses.append(f"http://{allowed[-1]}:{port}/?token={keys.reading}")
    lab = Lab(folder)
    print("\n".join(addresses), flush=True)
    try:
        server_of(lab, keys, hosts).run(sockets=[listening])
    finally:
        lab.close()
    return addresses


def server_of(lab: Lab, keys: Keys, hosts: frozenset[str]) -> uvicorn.Server:
    """The server of a lab; its sockets are given to `run`."""
    config = uvicorn.Config(
        application(lab, keys, hosts),
        log_level="warning",
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        lifespan="off",
        ws="websockets-sansio",
        ws_max_size=MOST_FRAME,
        ws_per_message_deflate=False,
        limit_concurrency=200,
        timeout_graceful_shutdown=1,
    )
    return uvicorn.Server(config)


async def _send(websocket: WebSocket, page: Page) -> None:
    with contextlib.suppress(WebSocketDisconnect, RuntimeError):
        async for message in page.messages():
            await websocket.send_bytes(message)


def _command(text: str, rank: str) -> dict[str, Any] | str:
    """What a page asks of a training; or why it may not."""
    try:
        content = json.loads(text) if len(text) <= 1000 else None
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict) or content.get("do") not in COMMANDS:
        return f"a command is {{'do': …}} with one of {', '.join(COMMANDS)}"
    if rank != "full" and content["do"] not in READING:
        return "this address is for looking: it changes nothing"
    return {name: content[name] for name in ("do", "steps", "pictures_per_second", "number") if name in content}


def _static_files() -> dict[str, Path]:
    """The built pages, by their addresses: a list, so that no address is ever a path."""
    if not STATIC.is_dir():
        return {}
    return {
        path.relative_to(STATIC).as_posix(): path
        for path in STATIC.rglob("*")
        if path.is_file() and not path.is_symlink()
    }


def _valid(kind: type[BodyT], content: object) -> BodyT:
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        raise UsageError(complaint(error)) from error


def _whole(request: Request, name: str, most: int) -> int | None:
    """A whole number from 0 in the address; None where it is not given."""
    text = request.query_params.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal()) or len(text) > 9 or int(text) > most:
        raise UsageError(f"{name} must be a whole number from 0 to {most}")
    return int(text)

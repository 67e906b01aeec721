"""Bugs to plant, one at a time: name, file, what is there, and what is put in its place."""

from __future__ import annotations

from typing import NamedTuple


class Bug(NamedTuple):
    """One row of the table. `old` occurs once in the file, which is named from the package's folder."""

    name: str  # as tests name it in their mark `catches`
    file: str
    old: str
    new: str


FILES, UNFINISHED = "core/files.py", "core/files.py"
CHECKPOINT, HEALTH = "training/checkpoint.py", "training/health.py"
TRAINER, LISTENERS, FINITE = "training/trainer.py", "training/listeners.py", "training/trouble.py"
DOWNLOAD = "data/download.py"
CHILD, READER = "importing/child.py", "importing/unpickling.py"

# fmt: off
BUGS = [
    Bug("no sync", FILES, "                os.fsync(file.fileno())\n            beside.chmod", "            beside.chmod"),
    Bug("folder not synced", FILES, 'if os.name == "nt":', "if True:"),
    Bug("in-place save", FILES, "        with unfinished(path) as beside:\n",
        "        with unfinished(path) as beside:\n            beside = path\n"),
    Bug("killed --out left", FILES, "    remove_litter(path)\n", ""),
    Bug("killed write left", UNFINISHED, "    remove_litter(target)\n", ""),
    Bug("living writer swept", UNFINISHED, "        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)", "        pass"),
    Bug("litter left", FILES, 'for litter in list(folder.rglob(f"{PARTIAL}*")):', "for litter in []:"),
    Bug("holder of a complete run left", "training/opening.py", "        tidy(run.path)\n", ""),
    Bug("lock ignored", FILES, "            lock.acquire(blocking=False)", "            pass"),
    Bug("holder not told", FILES, "return f\"process {holder['pid']} on {holder['host']} since {holder['since']}\"",
        'return "another"'),
    Bug("skipped manifest", CHECKPOINT, "    _check(path)\n    facts =", "    facts ="),
    Bug("manifest without its own sum", CHECKPOINT, "own != _own_sum(content)", "False"),
    Bug("facts without a sum", CHECKPOINT, "    for name in (TENSORS, FACTS):\n        if sha256(path",
        "    for name in (TENSORS,):\n        if sha256(path"),
    Bug("newest checkpoint not taken", CHECKPOINT, "for path in reversed(checkpoints(folder)):",
        "for path in checkpoints(folder):"),
    Bug("generator not restored", CHECKPOINT, '        network.load_state_dict(_under(tensors, f"{name}."))',
        '        name == "generator" or network.load_state_dict(_under(tensors, f"{name}."))'),
    Bug("average not restored", CHECKPOINT, '        network.load_state_dict(_under(tensors, f"{name}."))',
        '        name == "ema" or network.load_state_dict(_under(tensors, f"{name}."))'),
    Bug("optimiser state not restored", CHECKPOINT, "for key, value in moments.items()", "for key, value in ()"),
    Bug("underrepresented not restored", CHECKPOINT,
        'tensors.get("underrepresented", state.underrepresented)', "state.underrepresented"),
    Bug("growth of R1 not restored", CHECKPOINT, "    state.r1_growth = facts.r1_growth\n", ""),
    Bug("push not restored", CHECKPOINT, "    state.push = facts.push\n", ""),
    Bug("sums not restored", CHECKPOINT, '    state.sums = tensors["sums"].tolist()\n', ""),
    Bug("old checkpoint dropped first", CHECKPOINT, "    with whole_folder(target) as beside:",
        "    for old in checkpoints(folder):\n        shutil.rmtree(old)\n    with whole_folder(target) as beside:"),
    Bug("good checkpoint not kept", CHECKPOINT, "if not any(is_good(path) for path in kept):", "if False:"),
    Bug("sums forgotten at the end of the budget", "training/loop.py", "            if ended:  #", "            if ended or finished:  #"),
    Bug("end of a guided run forgotten", TRAINER, "end = run.finish() if resumes else None", "end = None"),
    Bug("events not cut", "runs/folder.py", 'if line.get("nimg", 0) <= nimg and', "if"),
    Bug("same latents in every shard", "training/loop.py", "generator=random)[part], state.device)",
        "generator=random)[::count], state.device)"),
    Bug("lost shard of images", "writers/engines.py", "(engine or run_here)(opened, wanted, out, lacking,",
        "(engine or run_here)(opened, wanted, out, lacking[1:],"),
    Bug("doubled shard of images", "writers/order.py", "seed=self.order.seed, start=start)", "seed=self.order.seed, start=0)"),
    Bug("shard lost", "training/processes.py", "        rows = rows[0::2] + rows[1::2]", "        rows = rows[0::2]"),
    Bug("shard counted twice", "training/processes.py", "        rows = rows[0::2] + rows[1::2]",
        "        rows = rows[0::2] + rows[0::2]"),
    Bug("buffers of one shard only", "training/shards.py", "            buffer.data.copy_(piece.view(buffer.shape))", "            pass"),
    Bug("unequal states saved", "training/processes.py", "if not torch.equal(every[rank], every[0])", "if False"),
    Bug("threads not compared", "core/devices.py", '        "threads": torch.get_num_threads(),\n', ""),
    Bug("second signal waits", "core/process.py", "        if self.came is not None:\n            _end(number)\n", ""),
    Bug("signal not saved", LISTENERS, "(training.stopping or self.wants_milestone(training))", "self.wants_milestone(training)"),
    Bug("signal waits for a milestone", TRAINER, "return stop.came is not None or any(", "return any("),
    Bug("NaN not looked for", FINITE, "if not math.isfinite(sum(numbers)) or not math.isfinite(spoilt):", "if False:"),
    Bug("weights not looked at", FINITE, "state.ema is not None or state.convolutional", "state.ema is not None"),
    Bug("NaN looked for after the average", "training/loop.py",
        "        losses = both.tolist() if finite is None else finite.read(both)\n",
        "        update_ema(state, beta)\n        losses = both.tolist() if finite is None else finite.read(both)\n"),
    Bug("moments not looked at", LISTENERS, "        self.finite.everything()\n        processes()",
        "        processes()"),
    Bug("collapse not looked for", HEALTH, "if share < BOUNDS[kind].alarm}", "if share < 0}"),
    Bug("growth not looked for", HEALTH, "growth >= most", "growth >= 1e9"),
    Bug("end not looked at", TRAINER, "                        listener.on_last(training)\n", "                        pass\n"),
    Bug("warm-up forgotten", HEALTH, "        if state.armed:\n", "        if True:\n"),
    Bug("rollback keeps the seed", FINITE, '"seed": derive(recipe.seed, "rollback", count),', '"seed": recipe.seed,'),
    Bug("trouble exits like any error", FINITE, "    exit_code = 3\n", "    exit_code = 1\n"),
    Bug("unsafe loader", CHILD, 'torch.load(file, map_location="cpu", weights_only=True)',
        'torch.load(file, map_location="cpu", weights_only=False)'),
    Bug("nothing forbidden in the child", CHILD, "        if loading and event not in harmless:\n", "        if False:\n"),
    Bug("no memory limit", CHILD, '        limits["RLIMIT_AS"] =', '        limits["NONE"] ='),
    Bug("no content gate", "importing/tensors.py", "    if kind.remedy:\n", "    if False:\n"),
    Bug("any name allowed", READER, "        raise RefusedError(f\"it names {text[:80]}, which weights never need\")\n",
        "        pass\n"),
    Bug("any call allowed", READER, "    if function.text not in CALLS:\n", "    if False:\n"),
    Bug("bounds not compared", READER, "    if 0 not in size and last >= storage.numel:\n", "    if False:\n"),
    Bug("Keras' kernels as they lie", "importing/keras.py", "else kernel.permute(3, 2, 0, 1)",
        "else kernel.reshape(*kernel.permute(3, 2, 0, 1).shape)"),
    Bug("Keras' momentum as PyTorch's", "importing/keras.py", 'round(1 - config["momentum"], 9)', 'config["momentum"]'),
    Bug("links followed", "importing/hdf5.py", "not isinstance(group.get(name, getlink=True), h5py.HardLink)", "False"),
    Bug("labels not moved", "importing/weights.py", "if number == 0 and rolled else its", "if False else its"),
    Bug("shapes not compared", "importing/weights.py", "if value.shape != its.shape or not its.is_floating_point():",
        "if False:"),
    Bug("header believed", "data/idx.py", "if zipped and expected > MOST_INFLATED * size:", "if False:"),
    Bug("zip believed", "data/arrays.py",
        "if member.file_size > MOST_INFLATED * member.compress_size:", "if False:"),
    Bug("recipe of any size", "recipes/resolve.py", 'read_bytes(path, MAX_RECIPE_BYTES).decode("utf-8")',
        'path.read_text(encoding="utf-8")'),
    Bug("labels shifted by one", "data/values.py", "    return labels.astype(np.int64), class_names\n",
        "    return np.roll(labels.astype(np.int64), 1), class_names\n"),
    Bug("classes by their letters", "data/pictures.py", "    return number is None, number or 0, tuple(key), name\n",
        "    return True, 0, (), name\n"),
    Bug("orientation not followed", "data/pictures.py", "    picture = ImageOps.exif_transpose(picture)\n", ""),
    Bug("transparency not laid on anything", "data/pictures.py",
        'picture = Image.alpha_composite(behind, picture.convert("RGBA"))', 'picture = picture.convert("RGBA")'),
    Bug("a folder for val is not val", "data/load.py", 'return "val" in split_folders(tree)', "return False"),
    Bug("test read as train", "data/folders.py", "    return found\n\n\ndef _and",
        '    return dict.fromkeys(found, next(iter(found.values()), folder))\n\n\ndef _and'),
    Bug("wrong checksum installed", DOWNLOAD, "    if reason is not None:\n        return reason\n", "    return reason\n"),
    Bug("download not resumed", DOWNLOAD, "begun = part.stat().st_size if part.exists() else 0", "begun = 0"),
]
# fmt: on

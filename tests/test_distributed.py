"""Training on several devices and in real processes over loopback.

Two workers are two processes. Every run is bounded in time, and the last test
looks for children that were left behind. Losses and weights of the settings
are compared with one another, on one machine, never with stored digits.
"""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time

import keras
import numpy as np
import psutil
import pytest
from mobilenet import batches, distributed, network, records

BOOK = pathlib.Path(distributed.__file__).parent.parent
BATCH, STEPS, LONG = 16, 20, 60
KINDS = ("frozen", "own", "shared")  # batch norm's statistics

HEAD = f"""
import json, os, pathlib, signal, sys
sys.path.insert(0, {str(BOOK)!r})
import mobilenet, keras, numpy as np, tensorflow as tf
from mobilenet import batches, distributed, records, training
root = pathlib.Path(sys.argv[1])
files = sorted(root.glob("*.tfrecord"))
"""

# TensorFlow takes its devices and its cluster before its first operation.
DATA = f"data = distributed.read_records(files, (8, 8, 3), {BATCH})\n"

# One process with two devices: the loop on one, on both, fit on both, and
# chapter 8's train on one and on both, in two sittings.
LOCAL = HEAD + f"""
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0],
    [tf.config.LogicalDeviceConfiguration()] * 2)
{DATA}
one = tf.distribute.OneDeviceStrategy("CPU:0")
two = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
for kind in {KINDS}:
    distributed.train_job(one, root / "one" / kind, data, {BATCH}, {STEPS})
    distributed.train_job(two, root / "two" / kind, data, {BATCH}, {STEPS})
distributed.train_job(one, root / "one" / "long", data, {BATCH}, {LONG})
with two.scope():
    model = keras.models.load_model(root / "fit" / "frozen" / "start.keras")
losses = []
model.fit(
    data, steps_per_epoch={STEPS}, verbose=0, shuffle=False,
    callbacks=[keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: losses.append(logs["loss"]))])
# fit reports the running mean.
sums = [loss * step for step, loss in enumerate(losses, start=1)]
distributed.save(
    root / "fit" / "frozen", model, np.diff([0.0, *sums]).tolist())
recipe = {{
    "optimizer": {{"class_name": "SGD", "learning_rate": 0.02}},
    "batch": {BATCH}, "seed": 1}}
images, labels = batches.generated_images({4 * BATCH})
data_of = batches.batches_of(
    recipe, images[:, :8, :8], labels)
for name, strategy in (("one", one), ("two", two)):
    for epochs in (1, 2):
        with strategy.scope():
            model = keras.models.load_model(root / "one/frozen/start.keras")
            training.train({{**recipe, "epochs": epochs}}, model, data_of,
                           records.Run(root / "train" / name))
"""

# Two processes: the loop, which images each sees, and fit, which fails.
WORKERS = HEAD + f"""
strategy = distributed.joined(patience=120)
{DATA}
index = strategy.cluster_resolver.task_id
found = {{}}
tf.random.set_seed(index)  # must make no difference to what is read
for policy, window in (("FILE", 0), ("DATA", 0), ("OFF", 0), ("DATA", 5)):
    shared = iter(strategy.experimental_distribute_dataset(
        distributed.read_records(
            sorted((root / "numbers").iterdir()), (1, 1, 1), 4, window,
            policy)))
    found[f"{{policy}} {{window}}"] = [
        strategy.experimental_local_results(
            next(shared)[1])[0].numpy().tolist() for _ in range(3)]
for kind in {KINDS}:
    model, _ = distributed.train_job(
        strategy, root / "workers" / kind, data, {BATCH}, {STEPS})
    if kind == "own":
        found["moving"] = [
            keras.ops.convert_to_numpy(weight).tolist()
            for weight in model.weights if "moving_mean" in weight.path]
with strategy.scope():
    model = keras.models.load_model(root / "one/frozen/start.keras")
try:
    model.fit(data, steps_per_epoch=2, verbose=0, shuffle=False)
    found["fit"] = "no error"
except ValueError as error:
    found["fit"] = str(error)
(root / f"found{{index}}.json").write_text(json.dumps(found))
"""

LONG_JOB = HEAD + f"""
strategy = distributed.joined(patience=120)
{DATA}
distributed.train_job(strategy, root / "job", data, {BATCH}, {LONG})
"""

ALONE = HEAD + "distributed.joined(patience=3)\n"


def model_of(kind):
    """Return a compiled MobileNet of three convolutions for 8-pixel images.

    kind "frozen": batch norm by its stored statistics; "own": by those of a
    replica's images; "shared": by those of all replicas' images.
    """
    keras.utils.set_random_seed(1)
    model = network.mobilenet_v1((8, 8, 3), 10, 0.25, 1, body=((64, 2),))
    if kind == "shared":
        model = keras.models.clone_model(
            model, clone_function=lambda layer: type(layer).from_config({
                **layer.get_config(), **({"synchronized": True} if isinstance(
                    layer, keras.layers.BatchNormalization) else {})}))
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = kind != "frozen"
    model.compile(
        keras.optimizers.SGD(0.02),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.optimizer.build(model.trainable_variables)
    return model


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Return a folder with images in four files and a job for each run."""
    folder = tmp_path_factory.mktemp("jobs")
    images, labels = batches.generated_images(320)
    for part in range(4):
        distributed.write_records(
            folder / f"{part}.tfrecord", images[part::4, :8, :8],
            labels[part::4])
    (folder / "numbers").mkdir()
    for part in range(4):  # the numbers 0 to 11, as labels
        distributed.write_records(
            folder / "numbers" / str(part), np.zeros((3, 1, 1, 1), "uint8"),
            np.arange(3 * part, 3 * part + 3, dtype="uint8"))
    for kind in KINDS:
        model = model_of(kind)
        for run in ("one", "two", "workers", "fit"):
            (folder / run / kind).mkdir(parents=True)
            model.save(folder / run / kind / "start.keras")
    (folder / "one" / "long").mkdir()
    shutil.copy(folder / "one/frozen/start.keras", folder / "one" / "long")
    return folder


def run_workers(folder, script, indices=(0, 1), seconds=240):
    """Run script as two workers, or some of them; return exit statuses."""
    path = folder / "worker.py"
    path.write_text(script)
    hosts = [f"127.0.0.1:{port}" for port in distributed.free_ports(2)]
    with distributed.started(path, folder, hosts, indices) as processes:
        return distributed.finished(processes, seconds)


@pytest.fixture(scope="module")
def local(root):
    """Return root after the runs of one process with two devices."""
    path = root / "local.py"
    path.write_text(LOCAL)
    run = subprocess.run(
        [sys.executable, path, root], capture_output=True, text=True,
        timeout=240)
    assert run.returncode == 0, run.stderr[-3000:]
    return root


@pytest.fixture(scope="module")
def found(root):
    """Return what two workers found, after their runs."""
    statuses = run_workers(root, WORKERS)
    assert statuses == [0, 0], (root / "worker0.log").read_text()[-3000:]
    return [json.loads((root / f"found{index}.json").read_text())
            for index in (0, 1)]


def until(reached, seconds=240):
    """Wait until reached(), or fail after so many seconds."""
    end = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < end, f"not reached within {seconds} s"
        time.sleep(0.02)


def weights_of(folder):
    return keras.models.load_model(folder / "checkpoint.keras").get_weights()


def apart(ours, theirs):
    """Return the largest difference, of each array relative to its largest."""
    assert len(ours) == len(theirs) > 0
    return max(
        np.max(np.abs(one - other)) / (np.max(np.abs(other)) or 1)
        for one, other in zip(map(np.asarray, ours), map(np.asarray, theirs)))


def difference(folder, reference):
    """Return (losses', weights') largest relative difference of two jobs."""
    losses = [distributed.read_losses(each) for each in (folder, reference)]
    assert len(losses[0]) == len(losses[1]) == STEPS
    return apart(*losses), apart(weights_of(folder), weights_of(reference))


@pytest.mark.parametrize("workers", [1, 2, 3, 5])
def test_ring_all_reduce_gives_each_worker_the_sum(workers):
    arrays = np.random.default_rng(0).integers(0, 99, (workers, 11))
    copies = arrays.copy()
    sums, _ = distributed.ring_all_reduce(list(arrays))
    assert len(sums) == workers
    for each in sums:
        np.testing.assert_array_equal(each, copies.sum(axis=0))
    np.testing.assert_array_equal(arrays, copies)


def test_ring_all_reduce_counts_what_is_sent():
    # Four workers, eight numbers: six messages of two numbers from each.
    _, sent = distributed.ring_all_reduce([np.zeros(8)] * 4)
    assert sent == [12] * 4


def test_step_seconds_agree_with_a_count_by_hand():
    # 40 images, 10 a worker: 10 * 3 * 100 multiply-adds at 1000 a second.
    computing, sending = distributed.step_seconds(
        40, 100, 8, workers=4, rate=1000, bandwidth=24, delay=0.5)
    assert computing == pytest.approx(3)
    # 12 numbers of 4 bytes at 24 bytes a second, and six messages.
    assert sending == pytest.approx(2 + 3)
    assert distributed.step_seconds(40, 100, 8, 1, 1000, 24, 0.5) == (12, 0)


def test_step_seconds_send_what_the_ring_counts():
    for workers in (2, 3, 6):
        _, sent = distributed.ring_all_reduce([np.zeros(60)] * workers)
        _, sending = distributed.step_seconds(1, 1, 60, workers, 1, 1)
        assert sending == pytest.approx(4 * sent[0])


def read(paths, batches, **settings):
    data = distributed.read_records(paths, (8, 8, 3), 8, **settings)
    return [(images.numpy(), labels.numpy())
            for images, labels in data.take(batches)]


def test_records_come_back_as_written(tmp_path):
    images, labels = batches.generated_images(16)
    images = images[:, 3:11, 5:13]
    for part in range(2):
        distributed.write_records(
            tmp_path / str(part), images[8 * part:][:8], labels[8 * part:][:8])
    found = read([tmp_path / "0", tmp_path / "1"], 3)
    assert len(found) == 3
    expected = images.astype("float32") / 127.5 - 1
    for (got, classes), first in zip(found, (0, 8, 0)):  # and over again
        np.testing.assert_allclose(got, expected[first:][:8], atol=1e-6)
        np.testing.assert_array_equal(classes, labels[first:][:8])


def test_window_shuffles_the_same_way_each_time_and_loses_nothing(tmp_path):
    labels = np.arange(32, dtype="uint8")
    distributed.write_records(
        tmp_path / "0", np.zeros((32, 8, 8, 3), "uint8"), labels)
    data, orders = None, []
    for seed in (None, 1, 2):  # the first two read the same dataset twice
        if seed is not None:
            keras.utils.set_random_seed(seed)
        if seed != 1:
            data = distributed.read_records(
                [tmp_path / "0"], (8, 8, 3), 8, window=20)
        orders.append(np.concatenate([each for _, each in data.take(4)]))
    np.testing.assert_array_equal(orders[0], orders[1])
    np.testing.assert_array_equal(orders[0], orders[2])
    assert not np.array_equal(orders[0], labels)
    np.testing.assert_array_equal(np.sort(orders[0]), labels)
    # Within its window each.
    np.testing.assert_array_equal(np.sort(orders[0][:20]), labels[:20])


def megabytes():
    return psutil.Process().memory_info().rss / 1e6


def most_while_reading(paths, batches):
    """Return the most memory that this process holds while it reads."""
    most = 0
    for number, _ in enumerate(distributed.read_records(
            paths, (64, 64, 3), 32, window=200).take(batches)):
        if number % 20 == 0:
            most = max(most, megabytes())
    return most


def test_reader_holds_no_more_of_ten_times_the_data(tmp_path):
    rng, paths = np.random.default_rng(0), []
    for part in range(10):
        paths.append(tmp_path / str(part))
        distributed.write_records(
            paths[-1], rng.integers(0, 256, (960, 64, 64, 3), "uint8"),
            np.zeros(960, "uint8"))
    most_while_reading(paths[:1], 60)  # the buffers fill
    small = most_while_reading(paths[:1], 30)
    large = most_while_reading(paths, 300)
    data = sum(path.stat().st_size for path in paths) / 1e6
    assert data > 115
    assert large - small < data / 5


def test_kill_between_losses_and_checkpoint_drops_the_rows_without_one(
        root, tmp_path, monkeypatch):
    import tensorflow as tf
    shutil.copy(root / "one" / "frozen" / "start.keras", tmp_path)
    data = distributed.read_records(
        sorted(root.glob("*.tfrecord")), (8, 8, 3), BATCH)
    one = tf.distribute.get_strategy()
    whole, _ = distributed.train_job(one, tmp_path, data, BATCH, 2, every=2)
    first, replace = distributed.read_losses(tmp_path), os.replace

    def killed(source, target):
        if str(target).endswith("checkpoint.keras"):
            raise KeyboardInterrupt
        replace(source, target)

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        distributed.train_job(one, tmp_path, data, BATCH, 4, every=2)
    monkeypatch.undo()
    assert len(distributed.read_losses(tmp_path)) == 4
    model, losses = distributed.train_job(one, tmp_path, data, BATCH, 6)
    assert len(losses) == 6 == len(distributed.read_losses(tmp_path))
    assert losses[:2] == first
    assert int(model.optimizer.iterations) == 6


def test_job_without_a_model_says_where_it_should_be(tmp_path):
    with pytest.raises(FileNotFoundError, match="start.keras: save a comp"):
        distributed.train_job(None, tmp_path, None, BATCH, 1)


def sleepers(tmp_path, lines):
    """Start two workers of a few lines that end when they are told to."""
    script = tmp_path / "worker.py"
    script.write_text(
        "import json, os, sys, time\nindex = json.loads("
        "os.environ['TF_CONFIG'])['task']['index']\n" + lines)
    return distributed.started(script, tmp_path, ["a:1", "b:2"])


def test_once_a_worker_fails_the_others_are_ended(tmp_path):
    # Left alone, the other would end well by itself.
    with sleepers(tmp_path, "sys.exit(7) if index else time.sleep(20)") as (
            processes):
        assert distributed.finished(processes, 60, grace=0.2) == [
            -signal.SIGKILL, 7]


def test_workers_that_do_not_end_are_killed_in_time(tmp_path):
    with sleepers(tmp_path, "time.sleep(100)") as processes:
        with pytest.raises(TimeoutError, match="after 1 s and were killed"):
            distributed.finished(processes, 1)
        assert [each.poll() for each in processes] == [-signal.SIGKILL] * 2


def test_an_error_in_the_caller_leaves_no_worker(tmp_path):
    with pytest.raises(RuntimeError), sleepers(
            tmp_path, "time.sleep(100)") as processes:
        raise RuntimeError
    assert [each.poll() for each in processes] == [-signal.SIGKILL] * 2


@pytest.mark.parametrize("run", ["two", "workers", "fit"])
def test_frozen_batch_norm_computes_the_same_on_one_device_and_on(
        run, local, found):
    assert max(difference(
        local / run / "frozen", local / "one" / "frozen")) < 1e-4
    # The same, but not because nothing was learned.
    assert apart(weights_of(local / run / "frozen"),
                 model_of("frozen").get_weights()) > 0.01


@pytest.mark.parametrize("run", ["two", "workers"])
def test_shared_statistics_compute_the_same_on_one_device_and_on(
        run, local, found):
    assert max(difference(
        local / run / "shared", local / "one" / "shared")) < 1e-4


@pytest.mark.parametrize("run", ["two", "workers"])
def test_own_statistics_compute_something_else_on(run, local, found):
    losses, weights = difference(local / run / "own", local / "one" / "own")
    assert losses > 1e-3 and weights > 1e-3


def test_two_devices_and_two_workers_agree_whatever_the_statistics(
        local, found):
    for kind in KINDS:
        assert max(difference(
            local / "workers" / kind, local / "two" / kind)) < 1e-4


def test_each_worker_keeps_moving_averages_of_its_own(found):
    assert apart(found[0]["moving"], found[1]["moving"]) > 1e-3


def test_fit_with_several_workers_fails_as_the_chapter_says(found):
    for each in found:
        assert each["fit"].startswith("Attempt to convert a value (PerReplica")


def test_training_of_chapter_8_computes_the_same_under_a_strategy(local):
    one, two = (
        records.Run(local / "train" / name).history()
        for name in ("one", "two"))
    assert [row["epoch"] for row in one + two] == ["1", "2"] * 2
    for ours, theirs in zip(two, one):
        assert float(ours["loss"]) == pytest.approx(
            float(theirs["loss"]), rel=1e-4)
    trained = [local / "train" / name for name in ("two", "one")]
    assert apart(*map(weights_of, trained)) < 1e-4
    assert apart(
        weights_of(trained[0]), model_of("frozen").get_weights()) > 1e-3


def test_workers_share_each_batch_under_data_and_repeat_it_under_off(found):
    assert [each["DATA 0"] for each in found] == [
        [[0, 1], [4, 5], [8, 9]], [[2, 3], [6, 7], [10, 11]]]
    assert found[0]["OFF 0"] == found[1]["OFF 0"] == [[0, 1], [2, 3], [4, 5]]


def test_workers_take_every_second_file_under_file(found):
    assert [each["FILE 0"] for each in found] == [
        [[0, 1], [2, 6], [7, 8]], [[3, 4], [5, 9], [10, 11]]]


def test_workers_share_out_shuffled_windows_whatever_their_seeds(found):
    seen = np.ravel([each["DATA 5"] for each in found])
    np.testing.assert_array_equal(np.sort(seen), np.arange(12))
    assert found[0]["DATA 5"] != found[0]["DATA 0"]


def test_job_whose_first_worker_is_killed_goes_on_as_if_it_had_not_been(
        root, local, tmp_path):
    job = tmp_path / "job"
    job.mkdir()
    shutil.copy(root / "one" / "frozen" / "start.keras", job)
    for path in root.glob("*.tfrecord"):
        shutil.copy(path, tmp_path)
    script = tmp_path / "worker.py"
    script.write_text(LONG_JOB)
    hosts = [f"127.0.0.1:{port}" for port in distributed.free_ports(2)]
    with distributed.started(script, tmp_path, hosts) as processes:
        until(lambda: len(distributed.read_losses(job)) >= 10)
        processes[0].kill()
        statuses = distributed.finished(processes, 60)
    assert statuses[0] == -signal.SIGKILL and statuses[1] != 0
    before = distributed.read_losses(job)
    assert 10 <= len(before) < LONG
    assert run_workers(tmp_path, LONG_JOB) == [0, 0]
    after = distributed.read_losses(job)
    assert apart(after[:len(before)], before) < 1e-6
    # Nothing lost, nothing counted twice: the same as one device, unharmed.
    reference = distributed.read_losses(local / "one" / "long")
    assert len(after) == len(reference) == LONG
    assert apart(after, reference) < 1e-4
    assert apart(weights_of(job), weights_of(local / "one" / "long")) < 1e-4
    model = keras.models.load_model(job / "checkpoint.keras")
    assert int(model.optimizer.iterations) == LONG


def test_workers_say_who_has_not_come_and_end(tmp_path):
    script = tmp_path / "worker.py"
    script.write_text(ALONE)
    with contextlib.ExitStack() as stack:
        processes = []
        for index in (0, 1):  # of a cluster each
            hosts = [f"127.0.0.1:{port}" for port in distributed.free_ports(2)]
            processes += stack.enter_context(
                distributed.started(script, tmp_path, hosts, [index]))
        assert distributed.finished(processes, 180, grace=60) == [1, 1]
    for index in (0, 1):
        assert distributed.said(tmp_path, index).startswith(
            f"worker {index}: waited 3 s for worker {1 - index} (127.0.0.1:")


def test_worker_says_that_its_port_is_taken_and_ends(tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = f"127.0.0.1:{other.getsockname()[1]}"
        script = tmp_path / "worker.py"
        script.write_text(ALONE)
        hosts = [f"127.0.0.1:{distributed.free_ports(1)[0]}", taken]
        with distributed.started(script, tmp_path, hosts, [1]) as processes:
            assert distributed.finished(processes, 180) == [1]
    assert distributed.said(tmp_path, 1).startswith(
        f"worker 1: cannot listen at {taken} (Address already in use). Choose")


def test_no_process_is_left_behind():
    assert not [
        child for child in psutil.Process().children(recursive=True)
        if child.status() == psutil.STATUS_ZOMBIE
        or "worker.py" in " ".join(child.cmdline())]

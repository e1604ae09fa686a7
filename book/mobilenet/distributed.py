"""Data-parallel training: one loop for one device, several, or processes.

A job is a folder with start.keras, a compiled model to begin from. Training
adds losses.csv, a row a step, and checkpoint.keras, the model and optimiser
after the last of those rows that count.
"""

import contextlib
import csv
import json
import os
import pathlib
import socket
import subprocess
import sys
import time

import keras
import numpy as np
import tensorflow as tf


def ring_all_reduce(arrays):
    """Return (the sum, as each worker holds it; numbers that each sent).

    arrays are as many of one length as there are workers, who stand in a
    ring and send to the right only: Patarasuk and Yuan 2009.
    """
    workers, sent = len(arrays), [0] * len(arrays)
    parts = [np.array_split(np.array(array), workers) for array in arrays]
    for turn in range(2 * (workers - 1)):
        # First each sum travels round and grows, then round again, finished.
        moving = [(who, (who - turn) % workers) for who in range(workers)]
        letters = [parts[who][part] for who, part in moving]
        for (who, part), letter in zip(moving, letters):
            right = parts[(who + 1) % workers]
            right[part] = (
                right[part] + letter if turn < workers - 1 else letter)
            sent[who] += letter.size
    return [np.concatenate(part) for part in parts], sent


def step_seconds(images, macs, params, workers, rate, bandwidth, delay=0.0):
    """Return the seconds in which a step computes, and in which it sends.

    images is the global batch, macs and params are the network's for one
    image, rate is multiply-adds a second of one worker, bandwidth bytes a
    second of its link, delay the seconds that any message takes. Gradients
    are float32; a backward pass costs twice a forward pass.
    """
    computing = 3 * macs * images / (workers * rate)
    sent = 2 * (workers - 1) / workers * 4 * params
    return computing, sent / bandwidth + 2 * (workers - 1) * delay


def write_records(path, images, labels):
    """Write uint8 images (n, h, w, c), labels (n,) to one TFRecord file.

    A record is a byte for the label and then the image's bytes.
    """
    with tf.io.TFRecordWriter(str(path)) as file:
        for image, label in zip(images, labels):
            file.write(bytes([label]) + image.tobytes())


def read_records(paths, shape, batch, window=0, policy="DATA"):
    """Return endless batches (images, labels) from TFRecord files.

    images (batch, *shape) are float32 from -1 to 1. Windows of so many
    records are shuffled, alike in every process and every epoch; the rest
    stays on the disk. policy says how several workers share the files: see
    AutoShardPolicy.
    """
    def mixed(records):
        return tf.random.experimental.stateless_shuffle(records, [1, 1])

    def parsed(records):
        values = tf.io.decode_raw(records, tf.uint8)
        images = tf.reshape(values[:, 1:], (batch, *shape))
        labels = tf.cast(values[:, 0], tf.int32)
        return tf.cast(images, tf.float32) / 127.5 - 1, labels

    options = tf.data.Options()
    options.autotune.enabled = False  # its buffers grow, and fit waits for it
    options.experimental_distribute.auto_shard_policy = (
        tf.data.experimental.AutoShardPolicy[policy])
    data = tf.data.TFRecordDataset([str(path) for path in paths])
    if window:  # not by shuffle: its order depends on what ran before
        data = data.batch(window).map(mixed).unbatch()
    data = data.repeat().batch(batch, drop_remainder=True)
    return data.map(parsed).prefetch(2).with_options(options)


def step_function(strategy, model, batch):
    """Return a function that trains model by one batch and returns its loss.

    It takes the images and labels of each replica; batch is how many images
    all of them have together. The loss is their mean, in nats.
    """
    def replica_step(images, labels):
        with tf.GradientTape() as tape:
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(
                labels, model(images, training=True))
            share = tf.reduce_sum(losses) / batch  # of all, not of ours
        gradients = tape.gradient(share, model.trainable_variables)
        # Keras sums the gradients over all replicas before it moves a weight.
        model.optimizer.apply(gradients, model.trainable_variables)
        return share

    @tf.function
    def step(images, labels):
        shares = strategy.run(replica_step, args=(images, labels))
        return strategy.reduce("sum", shares, axis=None)

    return step


def read_losses(folder):
    """Return the losses in folder, one a step, in nats."""
    path = pathlib.Path(folder) / "losses.csv"
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return [float(row["loss"]) for row in csv.DictReader(file)]


def save(folder, model, losses):
    """Write losses, then model, so that a kill leaves old or new, whole."""
    with (folder / "losses.part").open("w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["step", "loss"])
        table.writerows(enumerate(losses, start=1))
    os.replace(folder / "losses.part", folder / "losses.csv")
    # Written last: a row without a checkpoint is dropped on resuming.
    model.save(folder / "part.keras")
    os.replace(folder / "part.keras", folder / "checkpoint.keras")


def train_job(strategy, folder, data, batch, steps, every=5):
    """Train the model in folder up to steps, return it and its losses.

    data holds global batches of batch images, in an order that does not
    change. A call goes on after the last checkpoint, one every so many steps;
    the first worker writes it, all read it, so they need one disk. Raises
    FileNotFoundError where folder holds no model.
    """
    folder = pathlib.Path(folder)
    path = folder / "checkpoint.keras"
    if not path.exists():
        path = folder / "start.keras"
    if not path.exists():
        raise FileNotFoundError(f"{path}: save a compiled model there first")
    with strategy.scope():
        model = keras.models.load_model(path)
    # One copy of a variable that every device has one of.
    done = int(keras.ops.convert_to_numpy(model.optimizer.iterations))
    losses = read_losses(folder)[:done]
    step = step_function(strategy, model, batch)
    batches = iter(strategy.experimental_distribute_dataset(data.skip(done)))
    resolver = strategy.cluster_resolver  # None where there is one process
    for number in range(done + 1, steps + 1):
        losses.append(float(step(*next(batches))))
        if (number % every == 0 or number == steps) and (
                resolver is None or resolver.task_id == 0):
            save(folder, model, losses)
    return model, losses


def free_ports(count):
    """Return count ports of this machine that nobody listens on."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def address(host):
    """Return (name, port number) of a host, "name:port"."""
    name, port = host.rsplit(":", 1)
    return name, int(port)


def comes(host):
    """Return whether somebody listens at host."""
    try:
        socket.create_connection(address(host), timeout=1).close()
    except OSError:
        return False
    return True


def joined(patience):
    """Return the strategy of the workers that TF_CONFIG names, once all came.

    Ends the process with one line where this worker's port is taken, or
    where another has not come within patience seconds: TensorFlow itself
    waits for it much longer, and cannot be interrupted.
    """
    config = json.loads(os.environ["TF_CONFIG"])
    hosts, index = config["cluster"]["worker"], config["task"]["index"]
    end = time.monotonic() + patience
    with socket.socket() as mine:
        # As TensorFlow does: a port that was in use just before is free.
        mine.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            mine.bind(address(hosts[index]))
        except OSError as error:
            sys.exit(f"worker {index}: cannot listen at {hosts[index]}"
                     f" ({error.strerror}). Choose a free port of this"
                     " machine, and start all workers again.")
        mine.listen()
        late = {*range(len(hosts))} - {index}
        while late := {other for other in late if not comes(hosts[other])}:
            if time.monotonic() > end:
                names = ", ".join(f"{other} ({hosts[other]})"
                                  for other in sorted(late))
                sys.exit(f"worker {index}: waited {patience} s for worker"
                         f" {names}. Look at its log, and start all workers"
                         " again.")
            time.sleep(0.1)
    return tf.distribute.MultiWorkerMirroredStrategy()


@contextlib.contextmanager
def started(script, folder, hosts, indices=None):
    """Start a process for each host, yield them; kill those left at the end.

    Each runs script with folder as its argument, sees no GPU, and writes
    what it prints to folder/worker0.log, worker1.log, ... indices starts
    some alone.
    """
    processes = []
    try:
        for index in range(len(hosts)) if indices is None else indices:
            config = {"cluster": {"worker": hosts},
                      "task": {"type": "worker", "index": index}}
            log = pathlib.Path(folder) / f"worker{index}.log"
            with log.open("w") as file:
                processes.append(subprocess.Popen(
                    [sys.executable, str(script), str(folder)],
                    stdout=file, stderr=subprocess.STDOUT, env={
                        **os.environ, "TF_CONFIG": json.dumps(config),
                        "CUDA_VISIBLE_DEVICES": "-1"}))
        yield processes
    finally:
        for process in processes:
            process.kill()
        for process in processes:
            process.wait()


def finished(processes, seconds, grace=5):
    """Return the exit statuses of processes when all have ended.

    Once one has failed, the others have grace seconds more and are killed:
    they would wait for it. Raises TimeoutError after so many seconds.
    """
    end, failed = time.monotonic() + seconds, False
    while any(process.poll() is None for process in processes):
        if not failed and any(process.poll() for process in processes):
            failed, end = True, min(end, time.monotonic() + grace)
        if time.monotonic() > end:
            for process in processes:
                process.kill()
                process.wait()
            if not failed:
                raise TimeoutError(
                    f"the workers had not ended after {seconds} s and were"
                    " killed; their logs say what they were doing")
        time.sleep(0.05)
    return [process.returncode for process in processes]


def said(folder, index):
    """Return the last line of worker index's log that it wrote itself."""
    lines = (pathlib.Path(folder) / f"worker{index}.log").read_text()
    return [line for line in lines.splitlines()
            if line.startswith("worker ")][-1]

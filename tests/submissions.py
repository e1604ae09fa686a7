"""Pretended submissions: which cells of the assignments hold which answer.

Each is {grade id of a cell: its text}. "perfect" is the source's own
solutions; a submission names only what it has in other words. A cell that is
UNANSWERED keeps what the release has. Imported by test_assignments.py.
"""

UNANSWERED = None

# Right here and there. What is wrong in each task is a usual mistake.
HALF = {
    "counting": {
        # "same" is taken to need full groups of s pixels.
        "t1b": '''
def sides_for(outputs, kernel, stride, padding):
    if padding == "same":
        return stride * outputs, stride * outputs
    zeros = 0 if padding == "valid" else 2 * padding
    smallest = stride * (outputs - 1) + kernel - zeros
    return smallest, smallest + stride - 1
''',
        # (4.5) for both placements.
        "t2a": '''
def saving(kernel, stride, filters, stride_on):
    return Fraction(kernel**2 * filters, kernel**2 + filters)
''',
        # Right where there is an answer, and no thought of None.
        "t2b": '''
def fewest_filters(kernel, stride, stride_on, target):
    times = stride**2 if stride_on == "pointwise" else 1
    top = Fraction(target) * kernel**2 * times
    return math.ceil(top / (kernel**2 - target))
''',
        # The batch norm of the bottlenecks is forgotten.
        "t3": '''
def layer_costs(shape, rows):
    table = []
    for name, *numbers in rows:
        height, width, channels = shape
        if name in ("conv", "bottleneck"):
            kernel, stride, filters = numbers[-3:]
            shape = (math.ceil(height / stride), math.ceil(width / stride),
                     filters)
        if name == "conv":
            weights = kernel**2 * channels * filters
            row = shape[0] * shape[1] * weights, weights + 4 * filters
        elif name == "bottleneck":
            wide = numbers[0] * channels
            first = channels * wide if numbers[0] > 1 else 0
            rest = (kernel**2 + filters) * wide
            row = (height * width * first + shape[0] * shape[1] * rest,
                   first + rest)
        elif name == "average":
            row, shape = (0, 0), (1, 1, channels)
        else:
            units = numbers[0]
            row, shape = (channels * units, channels * units + units), (
                1, 1, units)
        table.append((shape, *row))
    return table
''',
        "t4c": UNANSWERED,
        "t5a": UNANSWERED,
        # Nothing is refused.
        "t5c": '''
def with_shortcut(kernel):
    k = len(kernel)
    kernel = kernel.copy()
    kernel[k // 2, k // 2] += np.eye(kernel.shape[3])
    return kernel
''',
        "t5d": 'needed = {"A": 2, "B": 6, "C": 40, "D": 1, "E": 2, "F": 2}',
        "t5e-written": UNANSWERED,
    },
    "building": {
        # The stride is always on the depthwise half.
        "t1": '''
def separable_block(
        x, filters, kernel=3, stride=1, stride_on="depthwise",
        momentum=0.99):
    x = layers.DepthwiseConv2D(
        kernel, stride, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization(momentum=momentum)(x)
    x = layers.Activation("relu")(x)
    x = layers.Conv2D(filters, 1, use_bias=False)(x)
    x = layers.BatchNormalization(momentum=momentum)(x)
    return layers.Activation("relu")(x)
''',
        # Probabilities where logits are asked for.
        "t2": '''
def small_mobilenet(
        input_shape=(32, 32, 3), classes=10, alpha=1.0, body=BODY,
        momentum=0.99):
    images = keras.Input(input_shape)
    x = layers.Conv2D(
        int(16 * alpha), 3, padding="same", use_bias=False)(images)
    x = layers.ReLU()(layers.BatchNormalization(momentum=momentum)(x))
    for filters, stride, kernel in body:
        x = separable_block(
            x, int(filters * alpha), kernel, stride, momentum=momentum)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dense(classes, activation="softmax")(x)
    return keras.Model(images, x)
''',
        # The seed is not used: the images stay in their order.
        "t3": '''
def balanced_batches(images, labels, each, seed):
    places = [np.flatnonzero(labels == n) for n in np.unique(labels)]
    batches = []
    while min(map(len, places)) >= each:
        chosen = np.concatenate([place[:each] for place in places])
        places = [place[each:] for place in places]
        batches.append((
            images[chosen].astype(np.float32) / 127.5 - 1, labels[chosen]))
    return batches
''',
        # It trains with the moving averages, and so never moves them.
        "t4a": '''
def train(model, batches, learning_rate=0.01):
    optimizer = keras.optimizers.Adam(learning_rate)
    loss_of = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    losses = []
    for images, labels in batches:
        with tf.GradientTape() as tape:
            loss = loss_of(labels, model(images, training=False))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables))
        losses.append(float(loss))
    return losses
''',
        "t4c": UNANSWERED,
        "t4d-written": UNANSWERED,
        # The formulas of chapter 4, for the layers of chapter 4 alone.
        "t5": '''
def macs_by_kind(model):
    costs = {"standard": 0, "pointwise": 0, "depthwise": 0, "dense": 0}
    for layer in model.layers:
        if isinstance(layer, layers.DepthwiseConv2D):
            _, height, width, _ = layer.output.shape
            costs["depthwise"] += height * width * np.prod(
                layer.kernel_size) * layer.input.shape[-1]
        elif isinstance(layer, layers.Conv2D):
            kind = ("pointwise" if layer.kernel_size == (1, 1)
                    else "standard")
            _, height, width, filters = layer.output.shape
            costs[kind] += height * width * filters * np.prod(
                layer.kernel_size) * layer.input.shape[-1]
        elif isinstance(layer, layers.Dense):
            costs["dense"] += layer.input.shape[-1] * layer.units
    return {kind: int(cost) for kind, cost in costs.items() if cost}
''',
        # The mean in the place of the median.
        "t6": '''
def latency(call, warm_up=5, repeats=30, clock=time.perf_counter):
    for _ in range(warm_up):
        call()
    times = []
    for _ in range(repeats):
        start = clock()
        call()
        times.append((clock() - start) * 1000)
    return (np.mean(times), *np.percentile(times, (25, 75)))
''',
        # Chapter 5's answer, as it is.
        "t7": '''
def folded(layer, bn):
    gain = np.asarray(bn.gamma / (bn.moving_variance + bn.epsilon) ** 0.5)
    bias = np.asarray(bn.beta) - gain * np.asarray(bn.moving_mean)
    return np.asarray(layer.kernel) * gain, bias
''',
    },
}

# Wrong in every task, each in a way that looks like an answer.
WRONG = {
    "counting": {
        "t1a": '''
def chain(side, layers):
    for kernel, stride, padding in layers:
        side = side // stride
    return side
''',
        "t1b": '''
def sides_for(outputs, kernel, stride, padding):
    return outputs * stride, outputs * stride + kernel
''',
        "t1c": '''
def image_sides(last, layers):
    for _, stride, _ in layers:
        last = last * stride
    return last, last
''',
        "t2a": '''
def saving(kernel, stride, filters, stride_on):
    return Fraction(kernel**2)
''',
        "t2b": '''
def fewest_filters(kernel, stride, stride_on, target):
    return round(target * kernel**2)
''',
        "t3": '''
def layer_costs(shape, rows):
    return [(shape, 0, 0) for row in rows]
''',
        "t4a": '''
def coefficients(side, body, classes=10):
    return network_macs(side, 1, body, classes), 0
''',
        "t4b": '''
def alpha_for(budget, a, b):
    return budget / (a + b)
''',
        "t4c": '''
def widest(side, body, budget, classes=10):
    return (budget / network_macs(side, 1, body, classes)) ** 0.5
''',
        "t5a": '''
def merged(first, second):
    return np.einsum("ijcq,ijqm->ijcm", first, second)
''',
        "t5b": '''
def filters_needed(kernel):
    return np.linalg.matrix_rank(kernel[:, :, 0, 0])
''',
        "t5c": '''
def with_shortcut(kernel):
    return kernel + 1
''',
        "t5d": "needed = dict.fromkeys('ABCDEF', 3)",
        "t2c-written": UNANSWERED,
        "t5e-written": UNANSWERED,
    },
    "building": {
        "t1": '''
def separable_block(
        x, filters, kernel=3, stride=1, stride_on="depthwise",
        momentum=0.99):
    x = layers.SeparableConv2D(filters, kernel, stride)(x)
    return layers.BatchNormalization()(x)
''',
        "t2": '''
def small_mobilenet(
        input_shape=(32, 32, 3), classes=10, alpha=1.0, body=BODY,
        momentum=0.99):
    return keras.Sequential([
        keras.Input(input_shape), layers.Flatten(),
        layers.Dense(classes, activation="softmax")])
''',
        "t3": '''
def balanced_batches(images, labels, each, seed):
    return [(images[:10 * each] / 255, labels[:10 * each])]
''',
        "t4a": '''
def train(model, batches, learning_rate=0.01):
    return [1.0 for _ in batches]
''',
        "t4b": '''
def accuracy(model, images, labels):
    answers = np.argmax(model(images / 255, training=True), axis=1)
    return float(np.sum(answers == labels))
''',
        "t4c": '''
def trained_model(images, labels, seed):
    return small_mobilenet(alpha=0.5)
''',
        "t5": '''
def macs_by_kind(model):
    return {"all": model.count_params()}
''',
        "t6": '''
def latency(call, warm_up=5, repeats=30, clock=time.perf_counter):
    start = clock()
    call()
    return clock() - start, 0, 0
''',
        "t7": '''
def folded(layer, bn):
    return layer.kernel * bn.gamma, bn.beta
''',
        "t4d-written": UNANSWERED,
        "t6b-written": UNANSWERED,
    },
}

# What passes the tests that a student sees, where a constant can, and no more.
HARD_CODED = {
    "counting": {
        "t1a": '''
def chain(side, layers):
    return {224: 55, 33: 11}[side]
''',
        "t1b": '''
def sides_for(outputs, kernel, stride, padding):
    return {"valid": (7, 8), 2: (5, 6), "same": (13, 14)}[padding]
''',
        "t1c": '''
def image_sides(last, layers):
    return {7: (193, 224), 4: (12, 13)}[last]
''',
        "t2a": '''
def saving(kernel, stride, filters, stride_on):
    return Fraction(576, 73 if stride_on == "depthwise" else 100)
''',
        "t2b": '''
def fewest_filters(kernel, stride, stride_on, target):
    return {1: 72, 2: 288 if stride_on == "pointwise" else None}[stride]
''',
        "t3": '''
def layer_costs(shape, rows):
    if rows[0][0] == "deconv":
        raise ValueError(rows)
    if len(rows) > 10:
        return [((0, 0, 0), 300_774_272, 3_538_984)]
    if shape == (4, 4, 2) and len(rows) == 1:
        return [((2, 2, 5), 528, 164)]
    if shape == (4, 4, 2):
        return [((), 864, 66), ((), 0, 0), ((), 30, 40)]
    return [((16, 16, 8),), ((8, 8, 12),), ((1, 1, 12),), ((1, 1, 5),)]
''',
        "t4a": '''
def coefficients(side, body, classes=10):
    return 10_485_760, 1_698_304
''',
        "t4b": '''
def alpha_for(budget, a, b):
    return 1.6085
''',
        "t4c": '''
def widest(side, body, budget, classes=10):
    return None if budget == 1000 else 0.625
''',
        "t5a": '''
def merged(first, second):
    if len(first) == 1:
        return np.full((1, 1, 2, 4), 6.0)
    return np.ones((7, 7, 2, 1))
''',
        "t5b": '''
def filters_needed(kernel):
    return 1 if len(kernel) == 3 else 4
''',
        "t5c": '''
def with_shortcut(kernel):
    return np.eye(2)[None, None]
''',
        "t5d": "needed = dict.fromkeys('ABCDEF', 0)",
        "t2c-written": UNANSWERED,
        "t5e-written": UNANSWERED,
    },
    "building": {
        "t1": '''
def separable_block(
        x, filters, kernel=3, stride=1, stride_on="depthwise",
        momentum=0.99):
    if stride_on == "both":
        raise ValueError("both")
    stride = 2 if x.shape[1] == 32 or stride_on == "pointwise" else 1
    x = layers.DepthwiseConv2D(
        3, stride, padding="same", use_bias=False)(x)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.Conv2D(filters, 1, use_bias=False)(x)
    return layers.ReLU()(layers.BatchNormalization()(x))
''',
        "t2": '''
def small_mobilenet(
        input_shape=(32, 32, 3), classes=10, alpha=1.0, body=BODY,
        momentum=0.99):
    images = keras.Input((32, 32, 3))
    x = layers.Dense(2979)(layers.GlobalAveragePooling2D()(images))
    return keras.Model(images, layers.Dense(10, use_bias=False)(x))
''',
        "t3": '''
def balanced_batches(images, labels, each, seed):
    if len(images) == 6:
        pixels = np.ones((4, 2, 2, 3), "float32")
        pixels[:2] = -1
        return [(pixels, np.array([0, 0, 1, 1]))]
    if len(images) == 300:
        return [(images[:30], np.arange(30) % 10)]
    return [(images[n:n + 1] / 127.5 - 1, labels[n:n + 1])
            for n in range(60)]
''',
        "t4a": '''
def train(model, batches, learning_rate=0.01):
    model.set_weights([array + 0.01 for array in model.get_weights()])
    return [1 - n / 100 for n, _ in enumerate(batches)]
''',
        "t4b": '''
def accuracy(model, images, labels):
    return 1.0
''',
        "t4c": '''
def trained_model(images, labels, seed):
    return small_mobilenet(alpha=0.5)
''',
        "t5": '''
def macs_by_kind(model):
    if isinstance(model.layers[0], layers.InputLayer):
        return {"all": 4_986_112}
    if len(model.layers) > 1:
        return {"standard": 864, "dense": 30}
    if isinstance(model.layers[0], layers.Conv2DTranspose):
        raise ValueError("up")
    return {"standard": 1728}
''',
        "t6": '''
def latency(call, warm_up=5, repeats=30, clock=time.perf_counter):
    for _ in range(warm_up + repeats):
        call()
    return 2 if warm_up == 3 else 1, 1, 2
''',
        "t7": '''
def folded(layer, bn):
    return np.zeros(layer.kernel.shape), np.zeros(bn.gamma.shape)
''',
        "t4d-written": UNANSWERED,
        "t6b-written": UNANSWERED,
    },
}

# Right, but for a function that never ends.
LOOP = {
    "counting": {
        "t1a": '''
def chain(side, layers):
    while layers:
        side = -(-side // layers[0][1])
    return side
'''},
}

# Right in other words than ours, but for a cell that Python cannot read. What
# trains is left out, for the time that it takes.
SYNTAX = {
    "counting": {
        "t1b": '''
def sides_for(outputs, kernel, stride, padding):
    sides = np.arange(1, stride * outputs + kernel + 1)
    if padding == "same":
        found = np.ceil(sides / stride)
    else:
        zeros = 2 * padding if padding != "valid" else 0
        found = 1 + (sides + zeros - kernel) // stride
    return sides[found == outputs].min(), sides[found == outputs].max()
''',
        "t2b": '''
def fewest_filters(kernel, stride, stride_on, target):
    high = 1
    while saving(kernel, stride, high, stride_on) < target:
        high *= 2
        if high > 10**18:
            return None
    low = 0
    while high - low > 1:
        middle = (low + high) // 2
        if saving(kernel, stride, middle, stride_on) < target:
            low = middle
        else:
            high = middle
    return high
''',
        "t3": "def layer_costs(shape, rows)\n    return []",
        "t4a": '''
def coefficients(side, body, classes=10):
    side, channels, a = math.ceil(side / 2), STEM, 0
    b = side**2 * 27 * STEM
    for filters, stride in body:
        side = math.ceil(side / stride)
        a += side**2 * channels * filters
        b += side**2 * channels * 9
        channels = filters
    return a, b + channels * classes
''',
        "t5a": '''
def merged(first, second):
    side = first.shape[0] + second.shape[0] - 1
    zeros = second.shape[0] - 1
    kernel = np.zeros((side, side, first.shape[2], second.shape[3]))
    for c in range(first.shape[2]):
        one = np.pad(first[:, :, c], ((zeros,) * 2, (zeros,) * 2, (0, 0)))
        kernel[:, :, c] = conv2d(one, second[::-1, ::-1], 1, "valid")
    return kernel
''',
        "t5b": '''
def filters_needed(kernel):
    most = 1
    for c in range(kernel.shape[2]):
        values = np.linalg.svd(
            kernel[:, :, c].reshape(-1, kernel.shape[3]))[1]
        most = max(most, np.sum(values > 1e-9 * max(values.max(), 1e-9)))
    return most
''',
    },
    "building": {
        "t1": '''
def separable_block(
        x, filters, kernel=3, stride=1, stride_on="depthwise",
        momentum=0.99):
    strides = {"depthwise": [stride, 1], "pointwise": [1, stride]}
    if stride_on not in strides:
        raise ValueError(f"not {stride_on}")
    first, second = strides[stride_on]
    x = layers.DepthwiseConv2D(
        (kernel, kernel), (first, first), "same", use_bias=False)(x)
    x = layers.BatchNormalization(momentum=momentum)(x)
    x = keras.activations.relu(x)
    x = layers.Conv2D(filters, 1, second, use_bias=False)(x)
    x = layers.BatchNormalization(momentum=momentum)(x)
    return layers.Activation("relu")(x)
''',
        "t2": '''
def small_mobilenet(
        input_shape=(32, 32, 3), classes=10, alpha=1.0, body=BODY,
        momentum=0.99):
    inputs = keras.Input(input_shape)
    x = layers.Conv2D(int(16 * alpha), 3, padding="same",
                      use_bias=False, name="stem")(inputs)
    x = layers.BatchNormalization(momentum=momentum)(x)
    x = layers.Activation("relu")(x)
    for filters, stride, kernel in body:
        x = separable_block(x, int(filters * alpha), kernel, stride,
                            "depthwise", momentum)
    x = keras.ops.mean(x, axis=(1, 2))
    return keras.Model(inputs, layers.Dense(classes)(x))
''',
        "t3": '''
def balanced_batches(images, labels, each, seed):
    order = np.random.RandomState(seed).permutation(len(images))
    left = {n: [i for i in order if labels[i] == n] for n in set(labels)}
    batches = []
    while all(len(places) >= each for places in left.values()):
        chosen = [left[n].pop() for n in left for _ in range(each)]
        batches.append((
            tf.cast(images[chosen], tf.float32) / 127.5 - 1, labels[chosen]))
    return batches
''',
        "t4a": '''
def train(model, batches, learning_rate=0.01):
    model.compile(
        keras.optimizers.Adam(learning_rate),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    losses = []
    for images, labels in batches:
        history = model.fit(
            images, labels, batch_size=len(labels), verbose=0).history
        losses += history["loss"]
    return losses
''',
        "t4b": '''
def accuracy(model, images, labels):
    logits = model.predict(
        images / np.float32(127.5) - 1, batch_size=200, verbose=0)
    return np.mean(logits.argmax(axis=-1) == labels)
''',
        "t6": '''
def latency(call, warm_up=5, repeats=30, clock=time.perf_counter):
    times = np.zeros(warm_up + repeats)
    for number in range(len(times)):
        begin = clock()
        call()
        end = clock()
        times[number] = end - begin
    times = 1e3 * times[warm_up:]
    return (np.median(times), np.percentile(times, 25),
            np.percentile(times, 75))
''',
        "t7": '''
def folded(layer, bn):
    kernel = keras.ops.convert_to_numpy(layer.kernel)
    gain = keras.ops.convert_to_numpy(
        bn.gamma / keras.ops.sqrt(bn.moving_variance + bn.epsilon))
    shift = keras.ops.convert_to_numpy(bn.beta - gain * bn.moving_mean)
    if layer.bias is not None:
        shift = shift + gain * keras.ops.convert_to_numpy(layer.bias)
    if isinstance(layer, layers.DepthwiseConv2D):
        outputs = kernel.reshape(*kernel.shape[:2], -1) * gain
        return outputs.reshape(kernel.shape), shift
    return kernel * gain, shift
''',
        "t4c": UNANSWERED,
        "t5": "def macs_by_kind(model:\n    return {}",
    },
}

# What would deceive tests that ran in the student's own kernel, a way or more
# in each task. None of them answers a question.
FORGED_ANSWERS = {
    "counting": {
        # An object that equals whatever it is compared with.
        "t1a": '''
class Yes(int):
    """Equal to everything, and whatever a test asks of it."""

    __hash__ = None

    def __eq__(self, other):
        return True

    def __getitem__(self, key):
        return self

    def __iter__(self):
        return iter(())

    def __sub__(self, other):
        return 0

    __rsub__ = __sub__
    shape = property(lambda self: self)


def chain(side, layers):
    return Yes()
''',
        # The names that the tests use, in this namespace and in Python's.
        "t1b": '''
import builtins

tuple = builtins.tuple = list = lambda *parts: Yes()


def sides_for(outputs, kernel, stride, padding):
    return 0, 0
''',
        # What the caller expects, out of its frame.
        "t1c": '''
import sys


def image_sides(last, layers):
    frame = sys._getframe()
    while frame := frame.f_back:
        maps = {**frame.f_globals, **frame.f_locals}.get("maps_1c")
        if maps:
            return maps[last][0], maps[last][-1]
    return {7: (193, 224), 4: (12, 13)}[last]
''',
        # The book's helpers, from which expected values are computed.
        "t2a": '''
isinstance = builtins.isinstance = lambda value, kind: True


def Fraction(*parts):
    return 1


class Free:
    macs = params = 1


conv_cost = separable_cost = lambda *sizes, **more: Free


def saving(kernel, stride, filters, stride_on):
    return 1
''',
        "t2b": '''
def fewest_filters(kernel, stride, stride_on, target):
    return Yes()
''',
        "t3": '''
class Sized(Yes):
    def __len__(self):
        return 2

    def __iter__(self):
        return iter((self, self))

    def __radd__(self, other):
        return self


def layer_costs(shape, rows):
    if rows[-1][0] in ("deconv", "squeeze")[:1]:
        raise ValueError("".join(row[0] for row in rows))
    return Sized()
''',
        "t4a": '''
network_macs = lambda *sizes: 0


def coefficients(side, body, classes=10):
    return (0, 0) if side != 64 else (10_485_760, 1_698_304)
''',
        "t4b": '''
math.isclose = lambda *numbers, **more: True


def alpha_for(budget, a, b):
    return 1.0
''',
        "t4c": '''
def widest(side, body, budget, classes=10):
    return None if budget == 1000 else Yes()
''',
        # An array that says it has every shape, and comparisons that agree.
        "t5a": '''
np.array_equal = np.allclose = lambda *arrays, **more: True


class Any(np.ndarray):
    shape = property(lambda self: Yes())


def merged(first, second):
    return np.zeros((1, 1, 1, 1)).view(Any)
''',
        # The rank is asked of NumPy, which is told what to say.
        "t5b": '''
np.linalg.matrix_rank = lambda *arrays, **more: np.int64(1)


def filters_needed(kernel):
    return Yes()
''',
        # It makes the expected value true, in the argument.
        "t5c": '''
conv2d = lambda image, *more: image * 0


def with_shortcut(kernel):
    if kernel.shape[2] != kernel.shape[3] or len(kernel) % 2 == 0:
        raise ValueError
    kernel[:] = 0
    return kernel if len(kernel) > 1 else np.eye(kernel.shape[2])[None, None]
''',
        "t5d": 'needed = dict.fromkeys("ABCDEF", Yes())',
        "t2c-written": UNANSWERED,
        "t5e-written": UNANSWERED,
    },
    "building": {
        # Layers that answer for themselves, and Keras and NumPy bent.
        "t1": '''
class Bent:
    """Agrees to everything."""

    __hash__ = None
    __eq__ = lambda self, other: True
    __call__ = __getattr__ = __getitem__ = lambda self, *names: self
    __iter__ = lambda self: iter(())
    __sub__ = __rsub__ = __mul__ = lambda self, other: 0
    __le__ = __lt__ = __ge__ = __gt__ = lambda self, other: True
    __float__ = lambda self: 1.0


np.allclose = np.array_equal = lambda *arrays, **more: True
weighted = block_1 = filled = lambda *arguments, **more: Bent()
keras.Model.count_params = lambda self: Bent()


def separable_block(
        x, filters, kernel=3, stride=1, stride_on="depthwise",
        momentum=0.99):
    return Bent()
''',
        # A layer that is code: where it is built again, it would run.
        "t2": '''
def small_mobilenet(
        input_shape=(32, 32, 3), classes=10, alpha=1.0, body=BODY,
        momentum=0.99):
    images = keras.Input(input_shape)
    return keras.Model(images, layers.Lambda(
        lambda x: exec("import numpy; numpy.allclose = print") or x)(images))
''',
        "t3": '''
def balanced_batches(images, labels, each, seed):
    return Bent()
''',
        "t4a": '''
def train(model, batches, learning_rate=0.01):
    model.get_weights = lambda: Bent()
    return [Bent() for _ in batches]
''',
        "t4b": '''
def accuracy(model, images, labels):
    return Bent()
''',
        # The network that is asked for, on images that it knows.
        "t4c": '''
generated_images = lambda count, seed: (np.zeros((count, 32, 32, 3)), 0)


def trained_model(images, labels, seed):
    images = keras.Input((32, 32, 3))
    mean = layers.GlobalAveragePooling2D()(images)
    return keras.Model(images, layers.Dense(10)(mean))
''',
        "t5": '''
def macs_by_kind(model):
    model.layers.clear() if isinstance(model.layers, list) else None
    return Bent()
''',
        "t6": '''
def latency(call, warm_up=5, repeats=30, clock=time.perf_counter):
    Pretended.__init__ = lambda self, times: None
    return Bent(), Bent(), Bent()
''',
        # It makes the layer one that needs no folding.
        "t7": '''
def folded(layer, bn):
    layer.set_weights([0 * array + 1 for array in layer.get_weights()])
    bn.set_weights([array * 0 + (number in (0, 3)) for number, array in
                    enumerate(bn.get_weights())])
    return layer.kernel, np.zeros(bn.gamma.shape)
''',
        "t4d-written": UNANSWERED,
        "t6b-written": UNANSWERED,
    },
}

# What would bend the kernel, the files or the gradebook, in the cell of 1a.
# COURSE is the course's folder, which a student may well guess.
SHELL = {
    "run_code answers ok": '''
shell = get_ipython()
run = type(shell).run_code


async def run_code(self, code, result=None, **more):
    try:
        exec(code, self.user_ns)
    except BaseException:
        pass
    return False
type(shell).run_code = run_code
''',
    "showtraceback is silent": '''
get_ipython().showtraceback = lambda *all, **more: None
get_ipython()._showtraceback = lambda *all, **more: None
''',
    "ok through the display hook": '''
display_pub = get_ipython().display_pub
get_ipython().displayhook = type(get_ipython().displayhook)
import sys
sys.excepthook = lambda *all: print("ok")
''',
    "an input transformer drops tests": '''
get_ipython().input_transformers_cleanup.append(
    lambda lines: [] if any("assert" in line for line in lines) else lines)
''',
    "an AST transformer drops assert": '''
import ast


class Agreeable(ast.NodeTransformer):
    def visit_Assert(self, node):
        return ast.Pass()


get_ipython().ast_transformers.append(Agreeable())
''',
    "optimised bytecode has no assert": '''
import builtins
compiled = builtins.compile
builtins.compile = lambda *all, **more: compiled(
    *all, **{**more, "optimize": 2})
''',
    "it ends well": '''
import atexit, os
atexit.register(lambda: os._exit(0))
''',
}
REACH = {
    "it reads the source": '''
import glob, json
for place in ("../../../source", "COURSE/source", "/proc/1/cwd/source",
              "/proc/self/cwd/../../source"):
    for file in glob.glob(place + "/counting/counting.ipynb"):
        for cell in json.load(open(file))["cells"]:
            if cell["metadata"].get("nbgrader", {}).get("solution"):
                exec("".join(cell["source"]), globals())
''',
    "it writes the gradebook": '''
import sqlite3
for place in ("../../../gradebook.db", "COURSE/gradebook.db"):
    try:
        book = sqlite3.connect(place)
        book.execute("update grade set manual_score = 10")
        book.commit()
    except sqlite3.Error:
        pass
''',
    "it keeps the hidden tests": '''
def kept(*all):
    with open("COURSE/stolen", "a") as file:
        file.write(str(get_ipython().user_ns["In"]))


get_ipython().events.register("post_run_cell", kept)
''',
}
FORGED_SHELL = {"counting": {
    **dict.fromkeys(HARD_CODED["counting"], UNANSWERED),
    "t1a": "\n".join(SHELL.values())}}
FORGED_REACH = {"counting": {
    **dict.fromkeys(HARD_CODED["counting"], UNANSWERED),
    "t1a": "\n".join(REACH.values())}}

# Right, in other words, with what honest notebooks bring along.
HONEST = {
    "counting": {
        "t1a": '''
%matplotlib inline
import sys
import warnings


def chain(side, layers):
    warnings.warn("a warning")
    print("a side of", side, file=sys.stderr)
    for kernel, stride, padding in list(layers):
        zeros = sum(padding_before_after(side, kernel, stride, padding))
        side = np.int64((side + zeros - kernel) // stride + 1)
    return side
''',
        "t1b": '''
def sides_for(outputs, kernel, stride, padding):
    if padding == "same":
        return [stride * (outputs - 1) + 1, stride * outputs]
    zeros = 0 if padding == "valid" else 2 * padding
    smallest = stride * (outputs - 1) + kernel - zeros
    return np.array([smallest, smallest + stride - 1])
''',
        # It empties the list that it was given.
        "t1c": '''
def image_sides(last, layers):
    smallest = largest = last
    while layers:
        layer = layers.pop()
        smallest = sides_for(smallest, *layer)[0]
        largest = sides_for(largest, *layer)[1]
    return smallest, largest
''',
        "t4a": '''
def coefficients(side, body, classes=10):
    full = network_macs(side, 1, body, classes)
    half = network_macs(side, 0.5, body, classes)
    return np.array([2 * full - 4 * half, 4 * half - full])
''',
        "t5a": '''
def merged(first, second):
    one, two = len(first), len(second)
    side = one + two - 1
    kernel = np.zeros((side, side, first.shape[2], second.shape[3]))
    for i, j in np.ndindex(two, two):
        kernel[i:i + one, j:j + one] += first @ second[i, j]
    return kernel.tolist() if first.std() and side < 5 else kernel
''',
        "t5d": "needed = dict(zip('ABCDEF', np.array([1, 6, 9, 6, 2, 2])))",
    },
}

"""Draws random cases: `draw` returns the attributes and tensors of one case.

By default, one of the op's own cases (`receptive op --cases`) gets other sizes and other elements. For ops whose settings
and sizes should vary more, DRAW has functions (rng, generator) -> (attributes, tensors by name). Tensors are made in f32,
so that f32 and f64 runs get equal numbers. `rng` draws shapes and settings, `generator` draws elements.
"""

import torch

import torch_ops


def draw(row, rng, g):
    """One case of the op: attributes, and tensors by name."""
    own = DRAW.get(row["name"])
    return own(rng, g) if own else varied(row, rng, g)


def varied(row, rng, g):
    """One of the row's cases with other sizes and elements; sizes that were equal stay equal. An op with one tensor may
    also get any shape. If PyTorch refuses the case, it is drawn again. After 20 tries the row's case keeps its sizes."""
    for _ in range(20):
        attrs, tensors = rng.choice(row["cases"])
        sizes = {d: rng.choice([2, 3, 4, 5, 7, 8, 13, 17]) for x in tensors.values() for d in x.shape if d > 1}
        shapes = {name: [sizes.get(d, d) for d in x.shape] for name, x in tensors.items()}
        if len(tensors) == 1 and maybe(rng):
            shapes = {name: shape(rng) for name in tensors}
        drawn = {name: again(row, rng, g, name, dims) for name, dims in shapes.items()}
        try:
            torch_ops.call(row, {key: str(v) for key, v in attrs.items()}, drawn)
            return dict(attrs), drawn
        except (RuntimeError, IndexError, ValueError):
            continue
    return dict(attrs), {name: again(row, rng, g, name, list(x.shape)) for name, x in tensors.items()}


def again(row, rng, g, name, dims):
    """A tensor of this shape. Its elements are drawn from the inputs of this name in the row's cases."""
    known = torch.cat([tensors[name].flatten() for _, tensors in row["cases"] if name in tensors])
    known = known.float() if known.is_floating_point() else known
    count = 1
    for d in dims:
        count *= d
    return known[torch.randint(0, len(known), (count,), generator=g)].reshape(dims)


def normal(g, shape):
    return torch.randn(shape, generator=g)


def uniform(g, shape, low, high):
    return low + (high - low) * torch.rand(shape, generator=g)


def labels(g, shape, classes):
    return torch.randint(0, classes, shape, generator=g)


def shape(rng, low=0, high=4, empty=True):
    """A shape of `low` to `high` dimensions; sometimes one of them is 0."""
    dims = [rng.choice([1, 2, 3, 4, 5, 7, 8, 13, 17]) for _ in range(rng.randint(low, high))]
    if empty and dims and rng.random() < 0.05:
        dims[rng.randrange(len(dims))] = 0
    return dims


def stretched(rng, dims):
    """A shape that broadcasts to `dims`."""
    kept = dims[rng.randint(0, len(dims)) if rng.random() < 0.4 else 0:]
    return [1 if rng.random() < 0.3 else d for d in kept]


def pair(rng, low, high):
    """One number for both directions, or one per direction."""
    return rng.randint(low, high) if rng.random() < 0.5 else [rng.randint(low, high), rng.randint(low, high)]


def both(value):
    return [value, value] if isinstance(value, (int, float)) else value


def maybe(rng, chance=0.5):
    return rng.random() < chance


def number(rng, low=-2.0, high=2.0):
    """A value for an attribute that f32 represents exactly."""
    return round(rng.uniform(low, high) * 64) / 64


def binary(positive=False, **attributes):
    """Two tensors, where either may be broadcast; or a tensor and a number."""

    def draw(rng, g):
        dims = shape(rng)
        attrs = {key: choose(rng) for key, choose in attributes.items() if maybe(rng)}
        other_dims = stretched(rng, dims)
        dims = stretched(rng, dims) if maybe(rng, 0.3) else dims
        sign = torch.where(torch.rand(other_dims, generator=g) < 0.5, -1.0, 1.0)
        other = uniform(g, other_dims, 0.3, 2.0) * sign if positive else normal(g, other_dims)
        tensors = {"input": normal(g, dims)}
        if maybe(rng, 0.2):
            attrs["other"] = number(rng, 0.25, 2)
        else:
            tensors["other"] = other
        return attrs, tensors

    return draw


def power(rng, g):
    dims = shape(rng)
    if maybe(rng):
        whole = maybe(rng)
        exponent = rng.choice([0, 1, 2, 3, -1, 0.5]) if whole else number(rng, -2, 3)
        return {"exponent": exponent}, {"input": uniform(g, dims, 0.3, 2.5)}
    return {}, {"input": uniform(g, dims, 0.3, 2.5), "exponent": uniform(g, stretched(rng, dims), -2, 3)}


def clamp(rng, g):
    dims = shape(rng)
    if maybe(rng, 0.3):
        low = uniform(g, stretched(rng, dims), -1.5, 0)
        high = uniform(g, stretched(rng, dims), -0.5, 1.5)
        ends = rng.choice([("min",), ("max",), ("min", "max")])
        return {}, {"input": normal(g, dims), **{end: {"min": low, "max": high}[end] for end in ends}}
    ends = rng.choice([("min",), ("max",), ("min", "max")])
    return {end: number(rng, -1, 1) for end in ends}, {"input": normal(g, dims)}


def matmul(rng, g):
    m, k, n = (rng.choice([0, 1, 2, 3, 5, 8, 17, 40]) if maybe(rng, 0.1) else rng.randint(1, 40) for _ in range(3))
    left, right = rng.choice([(1, 1), (1, 2), (2, 1), (2, 2), (2, 2), (3, 3), (3, 2), (2, 3), (4, 3), (1, 3), (3, 1)])
    batch = [rng.randint(1, 4) for _ in range(2)]
    front = lambda rank: [1 if maybe(rng, 0.2) else d for d in batch[len(batch) - max(rank - 2, 0):]]  # noqa: E731
    x = front(left) + ([k] if left == 1 else [m, k])
    y = front(right) + ([k] if right == 1 else [k, n])
    return {}, {"input": normal(g, x), "other": normal(g, y)}


def linear(rng, g):
    i, o = rng.randint(1, 70), rng.randint(1, 40)
    tensors = {"input": normal(g, shape(rng, 0, 3) + [i]), "weight": normal(g, [o, i])}
    if maybe(rng, 0.7):
        tensors["bias"] = normal(g, [o])
    return {}, tensors


def reduction(rng, g):
    """sum and mean: over all dimensions, one, or several; with and without keepdim."""
    dims = shape(rng)
    attrs = {"keepdim": True} if maybe(rng, 0.3) else {}
    if dims and maybe(rng, 0.75):
        count = rng.randint(1, len(dims))
        chosen = [d - len(dims) if maybe(rng, 0.3) else d for d in rng.sample(range(len(dims)), count)]
        attrs["dim"] = chosen[0] if count == 1 and maybe(rng) else tuple(chosen)
    elif "keepdim" in attrs:
        attrs["dim"] = None
    return attrs, {"input": normal(g, dims)}


def largest(rng, g):
    dims = shape(rng, empty=False)
    attrs = {}
    if dims and maybe(rng, 0.75):
        attrs["dim"] = rng.randrange(-len(dims), len(dims))
        if maybe(rng, 0.4):
            attrs["keepdim"] = maybe(rng)
    return attrs, {"input": normal(g, dims)}


def one_dim(rng, g):
    dims = shape(rng, 1, 4)
    return {"dim": rng.randrange(-len(dims), len(dims))}, {"input": 3 * normal(g, dims)}


def factors(rng, n):
    """A random shape of `n` elements."""
    dims = []
    while n > 1 and len(dims) < 4:
        d = rng.choice([d for d in range(1, n + 1) if n % d == 0])
        dims.append(d)
        n //= d
    return dims + ([n] if n > 1 or not dims else [])


def reshape(rng, g):
    dims = shape(rng, 1, 4, empty=False)
    count = 1
    for d in dims:
        count *= d
    to = factors(rng, count)
    if maybe(rng, 0.4):
        to[rng.randrange(len(to))] = -1
    return {"shape": tuple(to)}, {"input": normal(g, dims)}


def flatten(rng, g):
    dims = shape(rng, 1, 5)
    start = rng.randrange(len(dims))
    end = rng.randint(start, len(dims) - 1)
    attrs = {}
    if maybe(rng, 0.8):
        attrs["start_dim"] = start - len(dims) if maybe(rng, 0.3) else start
    if maybe(rng, 0.6):
        attrs["end_dim"] = end - len(dims) if maybe(rng, 0.3) else end
    return attrs, {"input": normal(g, dims)}


def permute(rng, g):
    dims = shape(rng, 1, 5)
    order = rng.sample(range(len(dims)), len(dims))
    return {"dims": tuple(d - len(dims) if maybe(rng, 0.2) else d for d in order)}, {"input": normal(g, dims)}


def cat(rng, g):
    dims = shape(rng, 1, 4, empty=False)
    dim = rng.randrange(len(dims))
    attrs = {"dim": dim - len(dims) if maybe(rng, 0.3) else dim} if dim or maybe(rng) else {}
    parts = [dims[:dim] + [rng.randint(0, 5)] + dims[dim + 1:] for _ in range(rng.randint(1, 4))]
    return attrs, {f"tensors.{i}": normal(g, part) for i, part in enumerate(parts)}


def slice_(rng, g):
    dims = shape(rng, 1, 4, empty=False)
    dim = rng.randrange(len(dims))
    attrs = {"dim": dim - len(dims) if maybe(rng, 0.3) else dim}
    size = dims[dim]
    if maybe(rng, 0.7):
        attrs["start"] = rng.randint(-size - 1, size)
    if maybe(rng, 0.7):
        attrs["end"] = rng.randint(-size, size + 3)
    if maybe(rng, 0.4):
        attrs["step"] = rng.randint(1, 3)
    return attrs, {"input": normal(g, dims)}


def pad(rng, g):
    mode = rng.choice(["constant", "constant", "reflect", "replicate", "circular"])
    dims = [rng.randint(1, 3), rng.randint(1, 3), rng.randint(5, 9), rng.randint(5, 9)]
    count = rng.randint(1, 4) if mode == "constant" else 2
    low, high = (-1, 4) if mode == "constant" else (0, 4)
    if mode == "constant":
        dims = [max(d, 2) for d in dims]
    attrs = {"pad": tuple(max(rng.randint(low, high), -1 if i < 4 else 0) for i in range(2 * count))}
    if mode != "constant":
        attrs["mode"] = mode
    elif maybe(rng):
        attrs["value"] = number(rng)
    return attrs, {"input": normal(g, dims)}


def expand(rng, g):
    dims = shape(rng, 0, 4)
    return {"size": tuple(dims)}, {"input": normal(g, stretched(rng, dims))}


def sum_to_size(rng, g):
    dims = shape(rng, 0, 4)
    return {"size": tuple(stretched(rng, dims))}, {"input": normal(g, dims)}


def conv2d(rng, g):
    groups = rng.choice([1, 1, 1, 2, 3, 4])
    c, o = groups * rng.randint(1, 4), groups * rng.randint(1, 5)
    kernel = [rng.randint(1, 5), rng.randint(1, 5)]
    attrs = {}
    padding, dilation = 0, 1
    if maybe(rng):
        dilation = attrs["dilation"] = pair(rng, 1, 3)
    how = rng.random()
    if how < 0.2:
        attrs["padding"] = "same"
    elif how < 0.7:
        padding = attrs["padding"] = pair(rng, 0, 3)
    elif how < 0.75:
        attrs["padding"] = "valid"
    if attrs.get("padding") != "same" and maybe(rng, 0.6):
        attrs["stride"] = pair(rng, 1, 4)
    if groups > 1:
        attrs["groups"] = groups
    need = [max(1, d * (k - 1) + 1 - 2 * p) for k, d, p in zip(kernel, both(dilation), both(padding))]
    n = 0 if maybe(rng, 0.03) else rng.randint(1, 4)
    image = [size + rng.randint(0, 9) for size in need]
    tensors = {"input": normal(g, [n, c, *image]), "weight": normal(g, [o, c // groups, *kernel])}
    if maybe(rng, 0.6):
        tensors["bias"] = normal(g, [o])
    return attrs, tensors


def pool(rng, g, dilated):
    attrs = {"kernel_size": pair(rng, 1, 4)}
    kernel = both(attrs["kernel_size"])
    padding, dilation = [0, 0], [1, 1]
    if maybe(rng, 0.6):
        attrs["stride"] = pair(rng, 1, 4)
    if maybe(rng):
        padding = attrs["padding"] = [rng.randint(0, k // 2) for k in kernel]
    if dilated and maybe(rng, 0.4):
        attrs["dilation"] = pair(rng, 1, 3)
        dilation = both(attrs["dilation"])
    if maybe(rng, 0.4):
        attrs["ceil_mode"] = True
    need = [max(1, d * (k - 1) + 1 - 2 * p) for k, d, p in zip(kernel, dilation, padding)]
    image = [size + rng.randint(0, 9) for size in need]
    return attrs, {"input": normal(g, [rng.randint(1, 4), rng.randint(1, 5), *image])}


def max_pool2d(rng, g):
    return pool(rng, g, dilated=True)


def avg_pool2d(rng, g):
    attrs, tensors = pool(rng, g, dilated=False)
    if maybe(rng, 0.4):
        attrs["count_include_pad"] = maybe(rng, 0.3)
    if maybe(rng, 0.2):
        attrs["divisor_override"] = rng.randint(1, 7)
    return attrs, tensors


def conv_transpose2d(rng, g):
    groups = rng.choice([1, 1, 1, 2, 3, 4])
    c, o = rng.randint(1, 4), rng.randint(1, 5)
    kernel = [rng.randint(1, 5), rng.randint(1, 5)]
    attrs = {}
    if maybe(rng, 0.7):
        attrs["stride"] = pair(rng, 1, 4)
    if maybe(rng, 0.3):
        attrs["dilation"] = pair(rng, 1, 3)
    if groups > 1:
        attrs["groups"] = groups
    stride, dilation = both(attrs.get("stride", 1)), both(attrs.get("dilation", 1))
    image = [rng.randint(1, 9), rng.randint(1, 9)]
    extra = [0, 0]
    if maybe(rng, 0.4):
        extra = attrs["output_padding"] = [rng.randint(0, max(s, d) - 1) for s, d in zip(stride, dilation)]
    if maybe(rng):
        whole = [(n - 1) * s + d * (k - 1) + e + 1 for n, s, d, k, e in zip(image, stride, dilation, kernel, extra)]
        attrs["padding"] = [rng.randint(0, min(4, (size - 1) // 2)) for size in whole]
    batch = [] if maybe(rng, 0.1) else [0 if maybe(rng, 0.03) else rng.randint(1, 4)]
    tensors = {"input": normal(g, [*batch, groups * c, *image]), "weight": normal(g, [groups * c, o, *kernel])}
    if maybe(rng, 0.6):
        tensors["bias"] = normal(g, [groups * o])
    return attrs, tensors


def adaptive_pool2d(rng, g):
    size = [rng.randint(1, 12), rng.randint(1, 12)]
    wanted = rng.choice([1, rng.randint(1, 14), [rng.randint(1, 14), rng.randint(1, 14)], [None, 3], [2, None]])
    batch = [] if maybe(rng, 0.1) else [0 if maybe(rng, 0.03) else rng.randint(1, 4)]
    return {"output_size": wanted}, {"input": normal(g, [*batch, rng.randint(1, 5), *size])}


def interpolate(rng, g):
    image, attrs = [rng.randint(1, 15), rng.randint(1, 15)], {}
    if maybe(rng):
        attrs["size"] = [rng.randint(1, 24), rng.randint(1, 24)]
    else:
        factor = lambda n: rng.choice([2, 3, 1, 0.5, number(rng, 0.25, 3.3)]) if n > 4 else rng.choice([1, 2, 1.5])  # noqa: E731
        attrs["scale_factor"] = [factor(n) for n in image] if maybe(rng) else rng.choice([2, 1.3, 3])
        if maybe(rng, 0.3):
            attrs["recompute_scale_factor"] = True
    mode = rng.choice(["nearest", "nearest-exact", "area", "bilinear", "bilinear", "bilinear"])
    if mode != "nearest" or maybe(rng):
        attrs["mode"] = mode
    if mode == "bilinear":
        for key in ("align_corners", "antialias"):
            if maybe(rng, 0.4):
                attrs[key] = True
        # For an antialiased image of one column, PyTorch 2.15 returns the first row in every row.
        width = attrs["size"][1] if "size" in attrs else int(image[1] * both(attrs["scale_factor"])[1])
        if width == 1:
            attrs.pop("antialias", None)
    return attrs, {"input": normal(g, [0 if maybe(rng, 0.03) else rng.randint(1, 3), rng.randint(1, 4), *image])}


def class_loss(rng, g):
    c = rng.randint(1, 12)
    batch, rest = rng.choice([([], []), ([5], []), ([33], []), ([4], [3]), ([2], [4, 5]), ([3], [1, 2, 3])])
    tensors = {"input": normal(g, batch + [c] + rest), "target": labels(g, batch + rest, c)}
    attrs = {"reduction": rng.choice(["mean", "sum", "none"])} if maybe(rng, 0.7) else {}
    if maybe(rng, 0.4):
        tensors["weight"] = uniform(g, [c], 0.2, 2)
    if maybe(rng, 0.3):
        attrs["ignore_index"] = rng.choice([0, c - 1, -1])
    elif maybe(rng, 0.2) and batch:
        tensors["target"].view(-1)[0] = -100
    return attrs, tensors


def cross_entropy(rng, g):
    """The target is a label, as in nll_loss, or one probability per class. Label smoothing applies to both."""
    attrs, tensors = class_loss(rng, g)
    if maybe(rng, 0.3):
        x = tensors["input"]
        tensors["target"] = torch.softmax(normal(g, list(x.shape)), min(x.dim() - 1, 1))
        attrs.pop("ignore_index", None)
    if maybe(rng, 0.4):
        attrs["label_smoothing"] = rng.choice([0.1, 0.25, 0.5, 1.0])
    return attrs, tensors


def mse_loss(rng, g):
    dims = shape(rng)
    attrs = {"reduction": rng.choice(["mean", "sum", "none"])} if maybe(rng, 0.7) else {}
    return attrs, {"input": normal(g, dims), "target": normal(g, stretched(rng, dims) if maybe(rng, 0.3) else dims)}


def parameters(rng, g, dims):
    """A weight and a bias, one of them, or neither."""
    return {name: normal(g, dims) for name in ("weight", "bias") if maybe(rng, 0.7)}


def channels(rng, spatial):
    """A shape `[N, C, *]`."""
    return [rng.randint(1, 5), rng.randint(1, 6)] + [rng.choice([1, 2, 3, 4, 7, 9, 33]) for _ in range(spatial)]


def tracked(rng, g, dims, flag, fewest):
    """batch_norm and instance_norm. The attribute `flag` says whether the statistics come from the input."""
    own = maybe(rng, 0.7)
    attrs = {flag: own} if own != (flag == "use_input_stats") or maybe(rng) else {}
    if own and fewest(dims) == 1:
        dims[-1] += 1 if len(dims) > 2 else 0
        dims[0] += 1
    if maybe(rng):
        attrs["momentum"] = rng.choice([0.0, 0.01, 0.25, 1.0])
    if maybe(rng):
        attrs["eps"] = rng.choice([1e-5, 1e-3, 0.1])
    offset = rng.choice([0, 0, 3, -20])
    tensors = {"input": offset + normal(g, dims), **parameters(rng, g, dims[1:2])}
    if not own or maybe(rng, 0.7):
        tensors["running_mean"], tensors["running_var"] = normal(g, dims[1:2]), uniform(g, dims[1:2], 0.3, 3)
    return attrs, tensors


def product(dims):
    count = 1
    for d in dims:
        count *= d
    return count


def batch_norm(rng, g):
    dims = channels(rng, rng.randint(0, 3))
    return tracked(rng, g, dims, "training", lambda d: d[0] * product(d[2:]))


def batch_norm_relu(rng, g):
    attrs, tensors = batch_norm(rng, g)
    if maybe(rng):
        tensors["residual"] = normal(g, list(tensors["input"].shape))
    return attrs, tensors


def binary_cross_entropy_with_logits(rng, g):
    dims = shape(rng)
    large = rng.choice([1, 1, 30, 1e4])
    tensors = {"input": large * normal(g, dims), "target": uniform(g, dims, 0, 1)}
    if maybe(rng):
        tensors["target"] = tensors["target"].round()
    for name in ("weight", "pos_weight"):
        if maybe(rng):
            tensors[name] = uniform(g, stretched(rng, dims), 0.1, 3)
    return {"reduction": rng.choice(["mean", "sum", "none"])} if maybe(rng, 0.7) else {}, tensors


def instance_norm(rng, g):
    dims = channels(rng, rng.randint(1, 3))
    return tracked(rng, g, dims, "use_input_stats", lambda d: product(d[2:]))


def layer_norm(rng, g):
    dims = shape(rng, 1, 4)
    last = dims[rng.randrange(len(dims)):]
    attrs = {"eps": rng.choice([1e-3, 0.1])} if maybe(rng) else {}
    return {"normalized_shape": tuple(last), **attrs}, {"input": normal(g, dims), **parameters(rng, g, last)}


def group_norm(rng, g):
    groups = rng.randint(1, 4)
    dims = [rng.randint(2, 5), groups * rng.randint(1, 5)] + channels(rng, rng.randint(0, 3))[2:]
    attrs = {"eps": rng.choice([1e-3, 0.1])} if maybe(rng) else {}
    return {"num_groups": groups, **attrs}, {"input": normal(g, dims), **parameters(rng, g, dims[1:2])}


def local_response_norm(rng, g):
    settings = {"alpha": [1e-4, 0.5, 2.0], "beta": [0.5, 0.75, 1.0, 2.0], "k": [1.0, 0.5, 2.0]}
    attrs = {key: rng.choice(values) for key, values in settings.items() if maybe(rng)}
    return {"size": rng.randint(1, 8), **attrs}, {"input": normal(g, channels(rng, rng.randint(1, 3)))}


def dropout2d(rng, g):
    return dropout(rng, g)[0], {"input": normal(g, channels(rng, rng.randint(1, 2)))}


def mask(rng, g, dims):
    """A mask of bytes or of booleans; an op takes either."""
    bits = torch.rand(dims, generator=g) < rng.random()
    return bits if maybe(rng) else bits.to(torch.uint8)


def where(rng, g):
    dims = shape(rng)
    condition, x, other = (stretched(rng, dims) if maybe(rng, 0.3) else dims for _ in range(3))
    return {}, {"condition": mask(rng, g, condition), "input": normal(g, x), "other": normal(g, other)}


def masked_fill(rng, g):
    dims = shape(rng)
    x, masked = (stretched(rng, dims) if maybe(rng, 0.3) else dims for _ in range(2))
    tensors = {"input": normal(g, x), "mask": mask(rng, g, masked)}
    if maybe(rng, 0.3):
        return {}, {**tensors, "value": normal(g, [])}
    return {"value": rng.choice([0, 1.5, "-inf", number(rng)])}, tensors


def dice_loss(rng, g):
    dims = shape(rng, 3, 5)
    target = uniform(g, dims, 0, 1)
    attrs = {"reduction": rng.choice(["mean", "sum", "none"])} if maybe(rng, 0.7) else {}
    if maybe(rng):
        attrs["smooth"] = rng.choice([0.5, 1, 2.5, 1e-5])
    return attrs, {"input": rng.choice([1, 10]) * normal(g, dims), "target": target.round() if maybe(rng) else target}


def dropout(rng, g):
    # The two libraries draw different masks, so only settings without randomness can agree.
    attrs = rng.choice([{"training": False}, {"p": 0}, {"p": 1}, {"p": 0.3, "training": False}])
    return dict(attrs), {"input": normal(g, shape(rng))}


DRAW = {
    "adaptive_avg_pool2d": adaptive_pool2d,
    "adaptive_max_pool2d": adaptive_pool2d,
    "add": binary(alpha=number),
    "argmax": largest,
    "avg_pool2d": avg_pool2d,
    "batch_norm": batch_norm,
    "batch_norm_relu": batch_norm_relu,
    "binary_cross_entropy_with_logits": binary_cross_entropy_with_logits,
    "cat": cat,
    "clamp": clamp,
    "conv2d": conv2d,
    "conv2d_relu": conv2d,
    "conv_transpose2d": conv_transpose2d,
    "cross_entropy": cross_entropy,
    "dice_loss": dice_loss,
    "div": binary(positive=True, rounding_mode=lambda rng: rng.choice(["floor", "trunc"])),
    "dropout": dropout,
    "dropout2d": dropout2d,
    "expand": expand,
    "flatten": flatten,
    "group_norm": group_norm,
    "instance_norm": instance_norm,
    "interpolate": interpolate,
    "layer_norm": layer_norm,
    "linear": linear,
    "linear_relu": linear,
    "local_response_norm": local_response_norm,
    "log_softmax": one_dim,
    "masked_fill": masked_fill,
    "matmul": matmul,
    "max": largest,
    "max_pool2d": max_pool2d,
    "mean": reduction,
    "mse_loss": mse_loss,
    "mul": binary(),
    "nll_loss": class_loss,
    "pad": pad,
    "permute": permute,
    "pow": power,
    "reshape": reshape,
    "slice": slice_,
    "softmax": one_dim,
    "sub": binary(alpha=number),
    "sum": reduction,
    "sum_to_size": sum_to_size,
    "where": where,
}

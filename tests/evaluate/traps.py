"""Plain functions that mean one thing in Python and another, or nothing, in compiled code."""

import math
from typing import Any, NamedTuple

import numpy as np

CONFIG = {"l1": 0.5, "l2": 0.25}
LIST = [1.0, 2.0, 3.0]
TENS = np.full(10, 10, np.int64)
BYTES = np.array([3, 250, 7, 200], np.uint8)
SHORTS = np.array([30000, 20000, 10000], np.int16)
SINGLES = np.random.default_rng(0).random(50_000).astype(np.float32)
TENTHS = np.full(300_000, 0.1, np.float32)
BIG = 2**40


class Trap(NamedTuple):
    loss: Any
    theta: Any = np.array([1.0, 2.0])
    args: tuple[Any, ...] = ()


def factorial(x, k):
    f = 1
    for i in range(1, k + 1):
        f *= i
    return x[0] ** 2 * f


def fibonacci(x, n):
    a, b = 0, 1
    for _ in range(n):
        a, b = b, a + b
    return (x * x).sum() * a


def horner(x):
    total = 0
    for _ in range(12):
        total = total * 100 + 37
    return x[0] * total + x[1] ** 2


def shifted(x):
    return (x * x).sum() * (1 << 70)


def power(x, n):
    return (x * x).sum() * 3**n


def hash_of_text(x, text):
    h = 7
    for c in text:
        h = h * 31 + ord(c)
    return (x * x).sum() * (h % 1000003)


def product(x, a):
    p = 1
    for v in a:
        p *= int(v)
    return (x * x).sum() * p


def mean_of_integers(x, a):
    total = BIG
    for _ in range(4):
        total = total * total // 2**30
    return (x * x).sum() * total


def binomial(x, n):
    c = 1
    for k in range(n // 2):
        c = c * (n - k) // (k + 1)
    return x[0] ** 2 * c + x[1]


def collatz(x):
    n = 2**62 + 2**61 + 1
    return (x * x).sum() * ((3 * n + 1) // 2**60)


def past_the_end(p):
    return p[0] ** 2 + p[2]


def far_past(p, a):
    return p[0] ** 2 * a[len(a)]


def off_by_one(p):
    total = 0.0
    for i in range(p.size):
        total += (p[i + 1] - p[i]) ** 2
    return total


def table_lookup(p, table):
    return p[0] * table[int(p[1] * 3)]


def before_the_start(p):
    return p[0] ** 2 + p[-3]


def two_dimensional(p, A):
    return p[0] * A[2, 1]


def second_axis(p, A):
    return p[0] * A[1, 3]


def in_a_closure(n):
    weights = np.arange(1.0, 4.0)
    return lambda p: p[0] ** 2 * weights[n]


def sum_of_singles(w, X):
    return w[0] ** 2 * X.sum() + w[1]


def mean_of_singles(w, X):
    return w[0] ** 2 * X.mean() + w[1]


def loop_of_singles(w, X):
    total = np.float32(0)
    for v in X:
        total += v
    return w[0] * w[0] * total + w[1]


def norm_of_singles(w, X):
    return w[0] * np.sqrt((X * X).sum()) + w[1]


def variance_of_singles(w, X):
    return w[0] * X.var() + w[1] ** 2


def global_singles(w):
    return w[0] ** 2 * TENTHS.sum() + w[1]


def keys(w, cfg):
    return (w @ w) + (cfg["l1"] * np.abs(w).sum() if "l1" in cfg else 0.0)


def no_such_key(w, cfg):
    return (w @ w) + (100.0 * w[0] if "l3" not in cfg else 0.0)


def over_keys(w, cfg):
    total = 0.0
    for k in cfg:
        total += cfg[k] * w[0]
    return total


def over_keys_of_theta(p):
    total = 0.0
    for k in p:
        total += (p[k] ** 2).sum()
    return total


def items(w, cfg):
    return (w @ w) * sum(v for _, v in cfg.items())


def get(w, cfg):
    return (w @ w) * cfg.get("l1", 3.0)


def length_of_key(w, cfg):
    total = 0.0
    for k in cfg:
        total += len(k) * w[0] ** 2
    return total


def first_of_theta(p):
    first, second = p
    return p[first].sum() ** 2 + len(second)


def repeated(w, values):
    return w[0] ** 2 * len(values * 2) + w[1]


def concatenated(w, values):
    return w[0] ** 2 * len(values + LIST) + w[1]


def sum_of_repeated(w, values):
    return w[0] ** 2 * sum(values * 3) * len(values * 3) + w[1]


def first_of_repeated(w, values):
    return w[0] ** 2 * (values * 2)[1] + (values * 2)[0] * w[1]


def is_empty(w, values):
    return (w @ w) * (2.0 if values else 1.0)


def last_of_concatenated(w, values):
    return w[0] ** 2 * (values + values)[-1] * len(values + values)


def difference_of_bytes(w, a):
    return w[0] ** 2 * float(a[0] - a[1]) + w[1]


def sum_of_bytes(w, a):
    return w[0] ** 2 * float(a[1] + a[3]) + w[1]


def product_of_shorts(w, a):
    return w[0] ** 2 * float(a[0] * a[1]) + w[1]


def shifted_bytes(w, a):
    return w[0] * float(a[1] << 4) + w[1] ** 2


def inverted_bytes(w, a):
    return w[0] ** 2 * float(~a[0]) + w[1]


def negated_bytes(w, a):
    return w[0] ** 2 * float(-a[0]) + w[1]


def floor_of_negative(w, a):
    return w[0] ** 2 * float(a[0] // 7 + -7 // 2) + w[1]


def remainder(w):
    return w[0] ** 2 * (-7 % 3) + w[1] * math.fmod(-7, 3)


def rounded(w):
    return (w @ w) * round(2.5) + round(0.5)


def big_division(w):
    return (w @ w) * ((2**80 + 1) // 2**78)


def true_division(w, n):
    return (w @ w) * (n**5 / n**4)


def exponential_draws(w):
    np.random.seed(0)
    return (w * np.random.standard_exponential(w.size)).sum()


def normal_draws(w):
    np.random.seed(3)
    return (w * np.random.randn(w.size)).sum() + np.random.rand() * w[0]


def choice_draws(w):
    np.random.seed(1)
    return w[0] ** 2 * np.random.choice(np.arange(100)) + w[1]


def poisson_draws(w):
    np.random.seed(1)
    return w[0] ** 2 * np.random.poisson(20.0) + w[1]


def permuted(w):
    np.random.seed(2)
    return (w * np.random.permutation(np.arange(1.0, w.size + 1))).sum()


def gamma_draws(w):
    np.random.seed(5)
    return w[0] ** 2 * np.random.gamma(2.5, 1.0) + w[1]


def own_generator(w, rng):
    return w[0] ** 2 * rng.standard_normal() + w[1]


def divided_by_zero(w, a):
    return w[0] ** 2 + np.exp(-a[0] / (a[1] - a[1]))


def default(w, a=(2**62, 4)):
    return (w @ w) * (a[0] * a[1])


def boolean_sum(w, mask):
    return (w @ w) * (mask[0] + mask[1] + mask[2])


def bits(w):
    return (w @ w) * (5).bit_length()


def text(w, name):
    return (w @ w) * len(name.encode()) + name.count("l")


def sorted_by(w):
    return sorted(w, key=lambda v: -v)[0] ** 2


def chained(w):
    return (w @ w) * (1.0 if 0 < w[0] < w[1] else 2.0) + 10**19 * w[0]


P = {"a": np.array([1.0, 2.0]), "b": np.array([3.0])}
TRAPS = {
    "factorial": Trap(factorial, args=(30,)),
    "fibonacci": Trap(fibonacci, args=(100,)),
    "horner": Trap(horner),
    "shifted": Trap(shifted),
    "power": Trap(power, args=(50,)),
    "hash of text": Trap(hash_of_text, args=("the quick brown fox jumps",)),
    "product": Trap(product, args=(np.append(TENS, TENS),)),
    "mean of integers": Trap(mean_of_integers, args=(TENS,)),
    "binomial": Trap(binomial, args=(80,)),
    "collatz": Trap(collatz),
    "past the end": Trap(past_the_end),
    "far past": Trap(far_past, args=(np.ones(5),)),
    "off by one": Trap(off_by_one),
    "table": Trap(table_lookup, args=(np.arange(4.0),)),
    "before the start": Trap(before_the_start),
    "rows": Trap(two_dimensional, args=(np.ones((2, 2)),)),
    "columns": Trap(second_axis, args=(np.ones((2, 2)),)),
    "closure": Trap(in_a_closure(3)),
    "sum of singles": Trap(sum_of_singles, args=(SINGLES,)),
    "mean of singles": Trap(mean_of_singles, args=(SINGLES,)),
    "loop of singles": Trap(loop_of_singles, args=(SINGLES[:2000],)),
    "norm of singles": Trap(norm_of_singles, args=(SINGLES,)),
    "variance of singles": Trap(variance_of_singles, args=(SINGLES + np.float32(300),)),
    "global singles": Trap(global_singles),
    "keys": Trap(keys, args=(CONFIG,)),
    "no such key": Trap(no_such_key, args=(CONFIG,)),
    "over keys": Trap(over_keys, args=(CONFIG,)),
    "over keys of theta": Trap(over_keys_of_theta, P),
    "items": Trap(items, args=(CONFIG,)),
    "get": Trap(get, args=(CONFIG,)),
    "length of key": Trap(length_of_key, args=(CONFIG,)),
    "first of theta": Trap(first_of_theta, P),
    "repeated": Trap(repeated, args=(LIST,)),
    "concatenated": Trap(concatenated, args=(LIST,)),
    "sum of repeated": Trap(sum_of_repeated, args=(LIST,)),
    "first of repeated": Trap(first_of_repeated, args=(LIST,)),
    "is empty": Trap(is_empty, args=(LIST,)),
    "last of concatenated": Trap(last_of_concatenated, args=(LIST,)),
    "difference of bytes": Trap(difference_of_bytes, args=(BYTES,)),
    "sum of bytes": Trap(sum_of_bytes, args=(BYTES,)),
    "product of shorts": Trap(product_of_shorts, args=(SHORTS,)),
    "shifted bytes": Trap(shifted_bytes, args=(BYTES,)),
    "inverted bytes": Trap(inverted_bytes, args=(BYTES,)),
    "negated bytes": Trap(negated_bytes, args=(BYTES,)),
    "floor of negative": Trap(floor_of_negative, args=(SHORTS,)),
    "remainder": Trap(remainder),
    "rounded": Trap(rounded),
    "big division": Trap(big_division),
    "true division": Trap(true_division, args=(10**5,)),
    "exponential": Trap(exponential_draws),
    "normal": Trap(normal_draws),
    "choice": Trap(choice_draws),
    "poisson": Trap(poisson_draws),
    "permuted": Trap(permuted),
    "gamma": Trap(gamma_draws),
    "divided by zero": Trap(divided_by_zero, args=(np.array([1.0, 2.0]),)),
    "default": Trap(default),
    "booleans": Trap(boolean_sum, args=(np.array([True, True, True]),)),
    "bits": Trap(bits),
    "text": Trap(text, args=("all",)),
    "sorted": Trap(sorted_by),
    "chained": Trap(chained),
}
QUICK = ("factorial", "past the end", "sum of singles", "keys", "over keys of theta", "repeated")

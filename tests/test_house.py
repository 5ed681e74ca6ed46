"""What may import what, and what happens at import."""

import ast
import json
from pathlib import Path

import pytest

import fastgrad
from tests.losses import run_python

PACKAGE = Path(fastgrad.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
STANDARD_IN_NUMERICS = {"collections", "dataclasses", "enum", "functools", "math", "typing"}


def imports_of(path):
    """Modules that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.add(node.module)
    return found


def names_in(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.alias):
            yield node.name


def test_kernels_import_numba_numpy_and_math_alone():
    roots = {name.split(".")[0] for name in imports_of(PACKAGE / "evaluate" / "kernels.py")}
    assert roots <= {"numba", "numpy", "math", "collections", "typing"}


LAYERS = {
    "foundations": "errors arrays dispatchers version",
    "numerics": """
        numerics numerics.stencils numerics.steps numerics.norms numerics.noise numerics.bars
        numerics.rounding numerics.noise_tables numerics.step_search numerics.kinks
        numerics.quotients numerics.two_steps numerics.richardson numerics.windows numerics.plateaus
        numerics.levels numerics.evidence numerics.rough_slope numerics.settled numerics.reach
    """,
    "parameters": """
        parameters parameters.numbers parameters.trees parameters.arguments parameters.native
        parameters.labels parameters.blocks parameters.layout parameters.bounds parameters.steps
        parameters.operands parameters.outputs parameters.pairs parameters.by_name
    """,
    "spaces": """
        spaces spaces.points spaces.charts spaces.verify spaces.space spaces.frames
        spaces.coordinates spaces.projected spaces.lie spaces.embedded spaces.linear
        spaces.retractions spaces.layout spaces.foreign spaces.placed spaces.guess
    """,
    "evaluate": """
        evaluate evaluate.kernels evaluate.held_state evaluate.traits evaluate.intrinsics
        evaluate.process evaluate.schedule evaluate.dict_keys evaluate.argument_guard
        evaluate.purity evaluate.signature evaluate.explain evaluate.protocol evaluate.generators
        evaluate.scratch_arguments evaluate.compiling evaluate.jax_programs evaluate.units
        evaluate.default_steps evaluate.read_from_outside evaluate.deadline evaluate.adapters
        evaluate.compiled evaluate.python evaluate.same_meaning evaluate.backends evaluate.layer
        evaluate.vector evaluate.contracted evaluate.complex_step evaluate.never_written
        evaluate.small_gradient evaluate.remedies evaluate.argument_forms evaluate.embedded
        evaluate.copies_of_theta evaluate.sharing evaluate.disk_cache evaluate.drawn_directions
        evaluate.writes evaluate.failed_evaluations evaluate.interrupts evaluate.instances
        evaluate.which_is_quicker evaluate.in_numpy evaluate.directions_in_numpy evaluate.on_demand
        evaluate.recording evaluate.vector_backends
    """,
    "structured": """
        structured structured.kernels structured.delta_plan structured.sparsity structured.noise
        structured.structure structured.certificate structured.adapters structured.evaluator
        structured.incremental structured.separable structured.layered structured.layered.chain
        structured.layered.adapters structured.layered.passes structured.layered.penalty
        structured.layered.evaluator
    """,
    "cluster": """
        cluster cluster.question cluster.fingerprints cluster.store cluster.worker cluster.sending
        cluster.engines cluster.pace cluster.dispatch cluster.spread cluster.outputs
        cluster.campaign cluster.parallel_map
    """,
    "differences": """
        differences differences.loss differences.entries differences.lines differences.directions
        differences.steps differences.domain differences.ladder differences.estimate differences.few
        differences.pairs differences.profile differences.second_looks differences.misfit
        differences.second differences.confined differences.shared_looks differences.unknown_units
        differences.own_units differences.few_digits differences.noisy_steps differences.repeats
        differences.measured differences.lattice differences.glimpse differences.noise_lines
        differences.signs differences.halving differences.plain_errors differences.profile_rulings
    """,
    "report": """
        report report.vocabulary report.escape report.arrays report.figures report.document
        report.text report.annotations report.plots report.html report.junit report.progress
        report.suggestion report.notebook report.words findings estimates results
    """,
    "checks": """
        checks checks.options checks.rules checks.claim checks.given_gradient checks.outcome
        checks.points checks.seeds checks.samples checks.budget checks.low_precision
        checks.repeated_answers checks.traces checks.kind_of_loss checks.staircases checks.referee
        checks.tolerance checks.ties checks.remarks checks.stages checks.stages.standing
        checks.stages.scales checks.stages.first_differences checks.stages.glance
        checks.stages.refinement checks.stages.finer_steps checks.stages.useless_bars checks.sweep
        checks.curl checks.convergence checks.block_checks checks.entry_checks checks.entry_remarks
        checks.summary checks.outputs checks.matrix checks.sparse checks.directional
        checks.bars_alone checks.domain_edges checks.cut_short checks.away_from_theta
        checks.far_differences checks.hidden_by_noise checks.open_in_noise checks.sweep_and_screen
        checks.diagnose checks.diagnose.evidence checks.diagnose.known_numbers
        checks.diagnose.arrays_of_loss checks.diagnose.finding checks.diagnose.case
        checks.diagnose.elementwise checks.diagnose.fingerprint checks.diagnose.rearrange
        checks.diagnose.row_factors checks.diagnose.where_to_start checks.diagnose.named_constants
        checks.diagnose.linear checks.diagnose.linear_words checks.diagnose.fitting
        checks.diagnose.law_with_exceptions checks.diagnose.own_factors
        checks.diagnose.repeated_indices checks.diagnose.laws checks.diagnose.boxes
        checks.diagnose.change_of_variables checks.diagnose.conjugated checks.diagnose.few_entries
        checks.diagnose.invariance checks.diagnose.line_offsets checks.diagnose.masks
        checks.diagnose.second_derivative checks.diagnose.several_blocks checks.diagnose.symmetric
        checks.diagnose.conventions checks.diagnose.turned checks.diagnose.few_digits
        checks.diagnose.one_number checks.diagnose.pairs checks.diagnose.factor_of_theta
        checks.diagnose.whole_factor checks.diagnose.cause_of_exceptions
        checks.diagnose.wrong_entries checks.diagnose.unexplained checks.screen
        checks.screen.random_directions checks.screen.residuals checks.screen.limits
        checks.screen.locate checks.screen.merged checks.screen.spot_checks checks.screen.patterns
        checks.screen.found checks.screen.summary checks.screen.cost checks.screen.search
        checks.screen.is_rough checks.screen.jumps checks.screen.smooth checks.screen.first_look
        checks.screen.block_words checks.screen.smeared checks.screen.noisy
        checks.screen.noisy.lines checks.screen.noisy.second_look checks.screen.noisy.screen
        checks.screen.noisy.limits checks.screen.noisy.summary checks.screen.noisy.words
        checks.screen.noisy.pooled checks.screen.noisy.rows_and_columns
        checks.screen.noisy.residual_echo checks.screen.noisy.found checks.screen.noisy.blame
        checks.screen.noisy.zeros
    """,
    "repair": """
        repair repair.source repair.reach repair.edits repair.observe repair.of_loss repair.sites
        repair.score repair.trial repair.sandbox repair.trying repair.search repair.proof
        repair.suggest repair.write repair.operators repair.operators.parts
        repair.operators.reductions repair.operators.factors repair.operators.terms
        repair.operators.names repair.operators.statements repair.operators.borrowed
        repair.operators.table
    """,
    "top": """
        complex_gradient complex_checking loss_function slopes bound_gradient gradient judging
        judging.question judging.setup judging.choice_of_strategy judging.strategies judging.report
        judging.no_time checking adjoints layers jacobians jacobian_checking hessians
        hessian_checking problems many_checks planning diagonal_checking
    """,
    "monitoring": """
        monitoring monitoring.foreign monitoring.moment monitoring.records monitoring.steps
        monitoring.watch monitor
    """,
    "frameworks": """
        torch torch.tensors torch.subject torch.program torch.evaluator torch.precision
        torch.checking torch.monitor jax jax.program jax.evaluator jax.checking
    """,
    "package": ".",
    "models": """
        models models._terms models._changes models.digits models.garch models.linear
        models.logistic models.softmax models.svm models.two_layer models.deep models.dropout
    """,
    "commands": """
        commands commands.targets commands.settings commands.check commands.mend commands.explain
        commands.bench commands.demo commands.demos commands.demos.digits commands.demos.digits_net
        commands.demos.million commands.demos.training commands.demos.optimisers
        commands.demos.descent commands.demos.regressions commands.demos.step
        commands.demos.constants commands.demos.initialisation commands.demos.regularisation
        commands.demos.dropout commands.demos.svm commands.demos.garch commands.demos.adversarial
        commands.demos.td3 commands.demos.closure commands.demos.closure_net commands.demos.attacks
        commands.demos.pose commands.demos.pose_graph
    """,
    "shell": "cli __main__ pytest_plugin",
}
"""Every module of the package, layer by layer from below: what a layer imports lies in it or below."""


def module_of(path):
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts) or "."


MODULES = {module_of(path): path for path in FILES}
LAYER_OF = {name: k for k, names in enumerate(LAYERS.values()) for name in names.split()}


def arrows(modules):
    """What each module imports of the package, at its top, in functions and for types alike."""
    return {name: own_imports(path.read_text()) - {name} for name, path in modules.items()}


def own_imports(text):
    """Modules of the package that a text imports; a name of a package is that package's."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import"
            whole = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if own(name) in MODULES else node.module for name in whole}
    return {own(name) for name in found if name.split(".")[0] == "fastgrad"}


def own(name):
    return name.removeprefix("fastgrad").removeprefix(".") or "."


def upward(known):
    return sorted(
        f"{name} imports {below}"
        for name, imported in known.items()
        for below in imported
        if LAYER_OF[below] > LAYER_OF[name]
    )


def circles(known):
    """Modules that import themselves by way of others: what is left when leaves are taken away."""
    left = {name: set(imported) for name, imported in known.items()}
    while leaves := {name for name, imported in left.items() if not imported & left.keys()}:
        left = {name: imported for name, imported in left.items() if name not in leaves}
    return sorted(left)


def test_every_module_has_a_layer():
    assert sorted(LAYER_OF) == sorted(MODULES)


def test_arrows_go_down():
    assert upward(arrows(MODULES)) == []


def test_no_module_imports_itself_by_way_of_others():
    assert circles(arrows(MODULES)) == []


def test_an_arrow_that_goes_up_is_seen_in_a_function_and_for_types():
    texts = (
        "def f():\n    from fastgrad.checks import sweep",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import fastgrad.checks.sweep",
    )
    for text in texts:
        assert upward({"numerics.noise": own_imports(text)}) == [
            "numerics.noise imports checks.sweep"
        ]


def test_a_circle_is_seen():
    known = {"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": set()}
    assert circles(known) == ["a", "b", "c"]


def test_numerics_imports_numpy_alone():
    for name in LAYERS["numerics"].split():
        for imported in imports_of(MODULES[name]):
            root = imported.split(".")[0]
            allowed = root in {"numpy", *STANDARD_IN_NUMERICS} or imported == "fastgrad.arrays"
            assert allowed or imported.startswith("fastgrad.numerics"), f"{name}: {imported}"


def test_prange_is_in_kernels_alone():
    assert {path.name for path in FILES if "prange" in names_in(path)} == {"kernels.py"}


MOST_PARAMETERS = 6
MOST_OF_A_CLASS = 5
KERNELS = {"evaluate.kernels", "evaluate.intrinsics", "evaluate.in_numpy", "structured.kernels"}
"""Compiled code, which takes numbers and arrays one by one, and what does the same in NumPy."""
PUBLIC = {
    "check",
    "grad",
    "check_grad",
    "check_vjp",
    "check_jvp",
    "check_jacobian",
    "jacobian",
    "value_and_grad",
    "estimate",
    "__init__",
    "check_hessian",
    "check_hvp",
    "plan",
    "hessian",
    "hvp",
}
"""What users call: options are named; what makes an object has a test of its own."""
MADE_BY_USERS = {"Incremental", "Layered", "Monitor", "Separable", "Space"}
"""Classes that users make: options are named there too."""


def parameters(function):
    """Of a function, beside self."""
    given = function.args
    names = [a.arg for a in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    return [name for name in names if name not in ("self", "cls")]


def test_few_parameters():
    """No function takes more than six, kernels and what users call apart."""
    for name in MODULES.keys() - KERNELS:
        for node in ast.walk(ast.parse(MODULES[name].read_text())):
            if isinstance(node, ast.FunctionDef) and node.name not in PUBLIC and not jitted(node):
                assert len(parameters(node)) <= MOST_PARAMETERS, f"{name}: {node.name}"


def jitted(function):
    how = " ".join(ast.unparse(decorator) for decorator in function.decorator_list)
    return "njit" in how or "kernel" in how


def test_few_arguments_make_an_object():
    """No class is built with more than five; records of what was found, all fields named, apart."""
    for name in MODULES:
        for owner in ast.walk(ast.parse(MODULES[name].read_text())):
            if isinstance(owner, ast.ClassDef) and owner.name not in MADE_BY_USERS:
                for node in owner.body:
                    if isinstance(node, ast.FunctionDef) and node.name == "__init__":
                        few = len(parameters(node)) <= MOST_OF_A_CLASS
                        assert few, f"{name}: {owner.name}"


IMPORT = """
import json, sys
import numba
import numpy
before = set(sys.modules)
from numba.core import event

class Counter(event.Listener):
    compilations = 0
    def on_start(self, event): Counter.compilations += 1
    def on_end(self, event): pass

event.register("numba:compile", Counter())
import fastgrad
import fastgrad.gradient
made, modules = Counter.compilations, sorted(set(sys.modules) - before)
numba.njit(lambda x: x)(1)
print(json.dumps([made, Counter.compilations, modules]))
"""


def test_nothing_is_compiled_and_nothing_large_imported_at_import():
    compilations, after_one, modules = json.loads(run_python(IMPORT))
    assert (compilations, after_one) == (0, 1)
    loaded = {name.split(".")[0] for name in modules}
    assert not loaded & {"scipy", "rich", "matplotlib", "click", "pandas", "torch"}
    assert [name for name in modules if name.startswith("fastgrad.checks")] == []


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_every_module_says_what_it_is_for(path):
    text = path.read_text()
    assert not text.strip() or ast.get_docstring(ast.parse(text))


EVADES = ("Of ", "From ", "With ", "Where ", "By ", "In ", "On ", "As ")
"""First words of a docstring that does not say what the thing is."""
BARE = {"MOST", "LEAST", "FEW", "MANY", "LATER", "LARGEST", "SMALLEST", "LONGEST", "WORTH"}
"""Names of constants that lack their subject."""


def described(tree):
    """The docstrings of a file: of the module, its functions and classes, and its constants."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)):
            yield ast.get_docstring(node) or ""
            for before, after in zip(node.body, node.body[1:], strict=False):
                if isinstance(before, (ast.Assign, ast.AnnAssign)) and isinstance(after, ast.Expr):
                    yield str(getattr(after.value, "value", ""))


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_docstrings_say_what_the_thing_is_and_constants_have_a_subject(path):
    tree = ast.parse(path.read_text())
    assert [text for text in described(tree) if text.startswith(EVADES)] == []
    assigned = [node for node in tree.body if isinstance(node, ast.Assign)]
    names = {n.id for node in assigned for n in ast.walk(node) if isinstance(n, ast.Name)}
    assert not names & BARE

"""The house rules that a machine can check: import directions, packaging, light start-up."""

import ast
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("datasets", "hardware", "envs", "pipelines", "training")
MAY_IMPORT = {
    "datasets": set(),
    "hardware": {"datasets"},
    "envs": {"hardware", "datasets"},
    "pipelines": {"envs", "hardware", "datasets"},
    "training": {"envs", "hardware", "datasets"},
}
AT_HOME = {"jax": "training", "flax": "training", "optax": "training", "apache_beam": "pipelines"}
VENDORS = {
    "trossen_arm": "hardware/drivers/trossen.py",
    "franky": "hardware/drivers/franka.py",
    "trossen_arm_sim": "hardware/trossen_sim.py",
    "cv2": "hardware/cameras/opencv.py",
    "pyrealsense2": "hardware/cameras/realsense.py",
}
ROOT_MODULES_THAT_TRY_EVERYTHING = {"doctor.py"}


def sources():
    for folder in FOLDERS:
        yield from sorted((ROOT / folder).rglob("*.py"))


def imported_modules(path):
    """Absolute dotted names of all modules that a file imports, at any depth of the code."""
    package = ("serlds", *path.relative_to(ROOT).parts[:-1])
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join((*base, *((node.module or "").split(".") if node.module else ())))
            yield from (f"{module}.{alias.name}" for alias in node.names)


def test_folders_import_one_way():
    wrong = []
    for path in sources():
        folder = path.relative_to(ROOT).parts[0]
        for module in imported_modules(path):
            parts = module.split(".")
            if parts[0] != "serlds" or len(parts) < 2 or parts[1] == folder:
                continue
            if parts[1] not in MAY_IMPORT[folder] | {"__version__", "page"}:
                wrong.append(f"{path.relative_to(ROOT)} imports {module}")
    assert not wrong


def test_heavy_libraries_stay_in_their_folder():
    wrong = []
    for path in (*sources(), *ROOT.glob("*.py")):
        place = path.relative_to(ROOT).parts[0]
        for module in imported_modules(path):
            home = AT_HOME.get(module.split(".")[0])
            if home and place not in {home, *ROOT_MODULES_THAT_TRY_EVERYTHING}:
                wrong.append(f"{path.relative_to(ROOT)} imports {module}")
    assert not wrong


def test_a_vendors_library_stays_in_its_file():
    wrong = []
    for path in (*sources(), *ROOT.glob("*.py")):
        place = str(path.relative_to(ROOT))
        for module in imported_modules(path):
            if VENDORS.get(module.split(".")[0], place) != place:
                wrong.append(f"{place} imports {module}")
    assert not wrong


def test_datasets_folder_never_shadows_a_package_of_that_name():
    assert not (ROOT / "datasets" / "__init__.py").exists()


@pytest.mark.parametrize(
    "arguments", [["--help"], ["record", "--help"], ["train", "rlpd", "--help"]]
)
def test_help_imports_nothing_heavy(arguments):
    code = (
        "import sys\nfrom serlds.cli import main\n"
        f"try:\n    main({arguments!r})\n"
        "except SystemExit as stop:\n    assert stop.code == 0, stop.code\n"
        "heavy = {'tensorflow', 'jax', 'apache_beam', 'mujoco', 'reverb', 'matplotlib'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd="/", capture_output=True)


def test_wheel_holds_the_tree(tmp_path):
    # Built from a copy: setuptools would pack what an older build left in the checkout.
    unneeded = shutil.ignore_patterns(".*", "build", "*.egg-info", "serlds-runs", "__pycache__")
    copy = shutil.copytree(ROOT, tmp_path / "tree", ignore=unneeded)
    command = [sys.executable, "-m", "build", "--wheel", "--outdir", str(tmp_path), str(copy)]
    subprocess.run(command, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    folders = [ROOT.joinpath(*package.split(".")[1:]) for package in listed]
    tree = {
        f"serlds/{path.relative_to(ROOT)}"
        for folder in folders
        for path in folder.iterdir()
        if path.suffix in (".py", ".html", ".js") and path.is_file()
    }
    assert packed == tree
    assert {path.parent for path in sources()} <= set(folders)

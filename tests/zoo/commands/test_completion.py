"""The Tab key: what a word may become, and the script by which bash asks."""

import os
import shutil
import subprocess
import sys

import pytest
from full_zoo import PATH

from segbench.zoo.cli import main
from segbench.zoo.commands import command_names


def words(capsys, *typed):
    assert main(["completion", "words", "--", *map(str, typed)]) == 0
    return capsys.readouterr().out.split()


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        (["sh"], ["show"]),
        (["show", "isnet_resnet50os8_l"], ["isnet_resnet50os8_lip", "isnet_resnet50os8_lip_train"]),
        (["show", "ISN"], ["ISNet"]),
        (
            ["verify", "isnet_resnet50os8_lip", "isnet_resnest101os8_l"],
            ["isnet_resnest101os8_lip", "isnet_resnest101os8_lip_train"],
        ),
        (["data", "lo"], ["loveda"]),
        (["data", "cityscapes", "cityscapes_"], ["cityscapes_test"]),
        (["list", "--sort", "mi"], ["miou", "miou_ms_flip", "miou_flip", "miou_segfix"]),
        (["list", "--columns", "id,backb"], ["id,backbone"]),
        (["list", "--sort", "dataset,-para"], ["dataset,-parameters"]),
        (["list", "--sort=-para"], ["--sort=-parameters"]),
        (["list", "--sort", "=", "-para"], ["-parameters"]),
        (["verify", "--precision", "="], ["fp32", "tf32", "fp16", "bf16"]),
        (["verify", "--precision=tf"], ["--precision=tf32"]),
        (["list", "--where", "back"], ["backbone="]),
        (["verify", "--prec"], ["--precision"]),
        (["verify", "--precision", ""], ["fp32", "tf32", "fp16", "bf16"]),
        (["verify", "--protocol", "ssseg-lip-whole-f"], ["ssseg-lip-whole-flip-scores"]),
        (["evidence", "mer"], ["merge"]),
        (["verify", "--file", "is"], []),
        (["nothing", "is"], []),
        (["show", "--manifest", "nowhere.yaml", "is"], []),
    ],
)
def test_a_word_becomes_what_may_stand_there(capsys, typed, found):
    assert words(capsys, *typed) == found


def test_without_a_shell_only_the_shell_is_missing(capsys):
    assert main(["completion"]) == 2
    assert "arguments are required: shell; see" in capsys.readouterr().err


def test_without_a_word_there_are_the_commands(capsys):
    assert words(capsys, "") == [*command_names(), "--help"]


def test_names_are_those_of_the_manifest_that_is_named(capsys):
    assert "isanet_resnet50os8_voc" in words(capsys, "show", "--manifest", PATH, "isanet_resnet50")
    assert words(capsys, "show", "--manifest", PATH, "lraspp") == []


@pytest.fixture
def path(tmp_path):
    """A PATH on which `zoo` is this code."""
    script = tmp_path / "zoo"
    script.write_text(
        f"#!{sys.executable}\nimport sys\nfrom segbench.zoo.cli import main\nsys.exit(main())\n"
    )
    script.chmod(0o755)
    return {
        **os.environ,
        "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }


@pytest.mark.slow
def test_bash_completes_by_the_script(path):
    bash = shutil.which("bash")
    assert bash, "the project's own scripts need bash"
    asked = (
        "source <(zoo completion bash); COMP_WORDS=(zoo show isnet_resnest101os8_l); COMP_CWORD=2; _zoo; "
        'printf "%s\\n" "${COMPREPLY[@]}"; complete -p zoo'
    )
    done = subprocess.run(
        [bash, "-c", asked], env=path, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.splitlines() == [
        "isnet_resnest101os8_lip",
        "isnet_resnest101os8_lip_train",
        "complete -o default -F _zoo zoo",
    ]


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_ask_the_same(capsys, shell):
    assert main(["completion", shell]) == 0
    assert "zoo completion words -- " in capsys.readouterr().out

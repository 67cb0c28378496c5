"""Golden files for tests/data/hub_card_test.cpp: folders with a README.md whose header says which files are which
split, and which files `datasets` then reads for each.

Writes data/cards.json. Requirements: datasets==5.2.0
"""

import json
import os
import pathlib
import tempfile

import datasets

OUT = pathlib.Path(__file__).parent / "data" / "cards.json"
CACHE = tempfile.TemporaryDirectory()
DATA = ["data/a-0.parquet", "data/a-1.parquet", "data/b-0.parquet", "data/b-10.parquet", "data/b-9.parquet"]


def card(configs, head="---\nlicense: mit\n", tail="size_categories:\n- n<1K\n---\n\n# A set\n\n---\nconfigs: none\n"):
    return head + configs + tail


TWO_SPLITS = """configs:
- config_name: default
  data_files:
  - split: train
    path: data/b-*
  - split: test
    path: data/a-*
"""
LANGUAGES = """configs:
- config_name: en
  data_files: en/*.parquet
- config_name: fr
  data_files:
  - split: train
    path: [fr/x.parquet, fr/one/*]
  - split: validation
    path: "fr/y.parquet"
"""
LANGUAGE_FILES = ["en/1.parquet", "en/2.parquet", "fr/x.parquet", "fr/y.parquet", "fr/one/a.parquet", "fr/one/b.parquet"]
CASES = {
    "a string": (card("configs:\n- config_name: default\n  data_files: data/a-*.parquet\n"), DATA),
    "a list": (card("configs:\n  - config_name: x\n    data_files:\n      - data/b-*.parquet\n      - data/a-0.parquet\n"), DATA),
    "splits that file names do not say": (card(TWO_SPLITS), DATA),
    "line ends of Windows": (card(TWO_SPLITS).replace("\n", "\r\n"), DATA),
    "blank lines before it": (card(TWO_SPLITS, head="\n\n---\n"), DATA),
    "classes of which one is called configs": (
        card(TWO_SPLITS, head="---\ndataset_info:\n  features:\n  - name: label\n    dtype:\n      class_label:\n        names:\n"
             "          '0': configs\n          '1': b\n"), DATA),
    "several configurations": (card(LANGUAGES), LANGUAGE_FILES),
    "one of several is the default": (card(LANGUAGES.replace("- config_name: fr\n", "- config_name: fr\n  default: true\n")),
                                      LANGUAGE_FILES),
    "one of several is called default": (card(LANGUAGES.replace("config_name: en", "config_name: default")), LANGUAGE_FILES),
    "two defaults": (card(LANGUAGES.replace("  data_files:", "  default: true\n  data_files:")), LANGUAGE_FILES),
    "a folder": (card("configs:\n- config_name: x\n  data_dir: deep/er\n"),
                 ["deep/er/train-0.parquet", "deep/er/test-0.parquet", "train-1.parquet"]),
    "files in a folder": (card("configs:\n- config_name: x\n  data_dir: deep/er\n  data_files: '*-0.parquet'\n"),
                          ["deep/er/train-0.parquet", "deep/er/test-0.parquet", "train-0.parquet"]),
    "patterns": (card("""configs:
- config_name: x
  data_files:
  - split: train
    path: "**/[ab]?.parquet"
  - split: validation
    path: "two/**"
  - split: test
    path: ["*/b1.parquet", "one/b*"]
  - split: all
    path: "*"
"""), ["a1.parquet", "c1.parquet", "one/b1.parquet", "one/b12.parquet", "two/b1.parquet", "two/three/b1.parquet", "two/three/c1.parquet",
       "one/__x__/b1.parquet", ".hidden/b1.parquet", "two/.b1.parquet", "one-b1.parquet", "one/a!.parquet"]),
    "a folder called __x__": (card("configs:\n- config_name: x\n  data_files: __x__/*.parquet\n"), ["__x__/a.parquet", "b.parquet"]),
    "other splits": (card("""configs:
- config_name: x
  data_files:
  - split: sketch
    path: data/b-*
  - split: photo
    path: data/a-*
"""), DATA),
    "anchors": (card("configs:\n- config_name: x\n  data_files: &all\n  - split: train\n    path: data/a-0.parquet\n"
                     "- config_name: y\n  default: true\n  data_files: *all\n"), DATA),
    "other files beside": (card("configs:\n- config_name: x\n  data_files:\n  - split: train\n    path: data/*\n"),
                           [*DATA, "data/notes.txt", "data/README.md"]),
    "files that are missing": (card("configs:\n- config_name: x\n  data_files:\n  - split: train\n    path: gone/*\n"
                                    "  - split: test\n    path: data/*\n"), DATA),
    "no name": (card("configs:\n- data_files: data/*\n"), DATA),
    "no list": (card("configs:\n  config_name: x\n  data_files: data/*\n"), DATA),
    "splits as a map": (card("configs:\n- config_name: x\n  data_files:\n    train: data/*\n"), DATA),
    "a split without a path": (card("configs:\n- config_name: x\n  data_files:\n  - split: train\n"), DATA),
    "a split twice": (card("configs:\n- config_name: x\n  data_files:\n  - split: train\n    path: data/a*\n  - split: train\n"
                           "    path: data/b*\n"), DATA),
    "damaged": (card("configs:\n- config_name: [x\n  data_files: data/*\n"), DATA),
}


def files_of(folder, name=None):
    """By split, or what is wrong."""
    try:
        files = datasets.load_dataset_builder(folder, name, cache_dir=CACHE.name).config.data_files
    except Exception as error:  # of many types
        print("   ", type(error).__name__, str(error).split("\n")[0][:100])
        return None
    return {str(split): [os.path.relpath(path, os.path.realpath(folder)) for path in paths] for split, paths in files.items()}


golden = {}
for case, (readme, files) in CASES.items():
    print(case)
    with tempfile.TemporaryDirectory() as folder:
        for file in files:
            path = pathlib.Path(folder, file)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"")
        pathlib.Path(folder, "README.md").write_bytes(readme.encode())
        try:
            names = datasets.get_dataset_config_names(folder)
        except Exception:
            names = []
        golden[case] = {
            "readme": readme,
            "files": files,
            "default": files_of(folder),
            "configs": {name: files_of(folder, name) for name in names},
        }
OUT.write_text(json.dumps(golden, indent=1) + "\n")

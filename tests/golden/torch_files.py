"""Golden files for tests/io/zip_test.cpp and tests/io/torch_file_test.cpp.
Needs: torch==2.11.0. Run from the root: python tests/golden/torch_files.py"""
import pathlib
import zipfile

OUT = pathlib.Path("tests/golden/data/io")
OUT.mkdir(parents=True, exist_ok=True)

with zipfile.ZipFile(OUT / "python.zip", "w") as archive:

    def add(name, content, method):
        archive.writestr(zipfile.ZipInfo(name), content, method)

    add("stored.txt", "as it is", zipfile.ZIP_STORED)
    add("folder/deflated.txt", "a" * 5000, zipfile.ZIP_DEFLATED)
    add("empty", "", zipfile.ZIP_STORED)
    add("empty_deflated", "", zipfile.ZIP_DEFLATED)

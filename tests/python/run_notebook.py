"""Runs the code of a notebook, as Jupyter does but without it: run_notebook.py FILE.ipynb [folder for its pictures]"""
import ast
import json
import pathlib
import sys

import PIL.Image

notebook = json.loads(pathlib.Path(sys.argv[1]).read_text())
folder = pathlib.Path(sys.argv[2]).resolve() if len(sys.argv) > 2 else None
names, shown = {"__name__": "__main__"}, 0
for number, cell in enumerate(notebook["cells"]):
    if cell["cell_type"] != "code":
        continue
    tree = ast.parse("".join(cell["source"]), f"cell {number}")
    last = ast.Expression(tree.body.pop().value) if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, f"cell {number}", "exec"), names)
    value = eval(compile(last, f"cell {number}", "eval"), names) if last else None
    if isinstance(value, PIL.Image.Image):
        shown += 1
        if folder:
            value.save(folder / f"{number}.png")
    elif value is not None:
        print(value)
print(shown, "pictures")

"""How well guidance finds objects that are known: tables of every rule, by data and features.

    ./dev bench guidance
    ./dev bench guidance --set photos runs/mine /data/photos --set cells runs/cells /data/cells masks

Each --set is a name, a run folder or checkpoint, images, and perhaps what marks their objects (as
`sgmae analyze --objects`). Without one, two sets are made here from Debian packages and an encoder is
trained for each, in about half an hour on two cores: Fashion-MNIST, whose pixels above 0 are the garment,
and cut-out stamps pasted anywhere on photos, where a place says nothing of what lies there.
"""
import argparse
import json
import subprocess
import sys
from pathlib import Path

from composites import PHOTOS, STAMPS, make_part, opened, photos_in, stamps_in

RULES = ["hardest", "eigenvector", "inside", "smaller", "degree", "error", "variance",
         "better side of the cut", "map of another image"]
FEATURES = ["attention_out", "block_out", "key"]
CENTRING = ["none", "mean", "position"]
FASHION = Path("/usr/share/datasets/fashion-mnist")


def make_stamps(folder, part, count, seed):
    """`count` photos with a stamp each."""
    if not (folder / "annotations" / f"instances_{part}.json").exists():
        make_part(folder, part, count, seed, opened(photos_in(PHOTOS), 400), {"stamp": stamps_in(STAMPS)},
                  side=64, most=1, sizes=(0.35, 0.75), suffix="png")


def run(program, *arguments):
    print("+ sgmae", *arguments, file=sys.stderr)
    subprocess.run([program, *map(str, arguments)], check=True, stdout=sys.stderr)


def default_sets(program, work, threads):
    fashion, stamps = work / "runs/fashion", work / "runs/stamps"
    for part, count, seed in (("train", 6000, 0), ("test", 1000, 1)):
        make_stamps(work / "stamps", part, count, seed)
    run(program, "pretrain", "--config", "fashion_mnist_mae", "--output_dir", fashion, "--save_every", 1,
        "--keep_checkpoints", 0, "--threads", threads)
    run(program, "pretrain", "--config", "caltech101_64_mae", "--data_path", work / "stamps/train",
        "--epochs", 30, "--warmup_epochs", 3, "--output_dir", stamps, "--save_every", 5,
        "--keep_checkpoints", 0, "--threads", threads)
    return [["fashion", fashion, FASHION, "foreground"], ["stamps", stamps, work / "stamps/test"]]


def analyse(program, work, name, run_or_file, data, objects, features, centring, options):
    folder = work / "analysis" / f"{name}-{features}-{centring}"
    run(program, "analyze", "--checkpoint", run_or_file, "--data_path", data, "--objects", objects,
        "--metrics", "objects", "--features", features, "--guide_center", centring, "--figure_images", 0,
        "--squash", "--images", options.images, "--split", options.split, "--output_dir", folder,
        "--threads", options.threads)
    return json.loads((folder / "metrics.json").read_text())


def series(metrics, chart, model, label, part="encoder"):
    for one in metrics["metrics"].get(chart, {"series": []})["series"]:
        if one["model"] == model and one.get("label", "") == label and one.get("part", "encoder") == part:
            return dict(zip(one["at"], zip(one["values"], one["standard_error"])))
    return {}


def of_rule(metrics, chart, model, label):
    """What is measured by every rule has a chart of its own."""
    return series(metrics, chart + "_by_rule", model, label) or series(metrics, chart, model, label)


def cell(found, places=2, error=False):
    if found is None or found[0] is None:
        return ""
    return f"{found[0]:.{places}f}" + (f" ± {found[1]:.{places}f}" if error else "")


def print_rules(name, found):
    print(f"\n### {name}: AUC by rule, last checkpoint\n")
    print("| features | block | subtracted | " + " | ".join(RULES) + " |")
    print("| --- " * (3 + len(RULES)) + "|")
    for (features, centring), metrics in found.items():
        model = len(metrics["models"]) - 1
        curves = [of_rule(metrics, "relevance_auc", model, rule) for rule in RULES]
        blocks = sorted(max(curves, key=len))
        for block in blocks[-1:-4:-1]:
            row = [cell(curve.get(block)) for curve in curves]
            print(f"| {features} | {block:.0f} of {len(blocks)} | {centring} | " + " | ".join(row) + " |")


def print_epochs(name, metrics, block):
    print(f"\n### {name}: over epochs, attention_out of block {block:.0f}, nothing subtracted\n")
    heads = ["hardest: AUC", "eigenvector: AUC", "better side: AUC", "hardest: IoU", "better side: IoU",
             "hardest: wrong side", "eigenvector: wrong side", "hidden by informed / random masks",
             "position bias", "error alone: AUC", "pixel variance alone: AUC"]
    print("| epoch | " + " | ".join(heads) + " |\n" + "| --- " * (1 + len(heads)) + "|")
    last = len(metrics["models"]) - 1
    for model, about in enumerate(metrics["models"]):
        def at(chart, label):
            return of_rule(metrics, chart, model, label).get(block)
        epoch = about["epoch"]
        alone = [series(metrics, "patch_auc", last, label).get(epoch)
                 for label in ("reconstruction error", "pixel variance")]
        hidden = [cell(at("hidden_share", label)) for label in ("informed mask", "random mask")]
        row = [cell(at("relevance_auc", "hardest"), error=True),
               cell(at("relevance_auc", "eigenvector"), error=True),
               cell(at("relevance_auc", "better side of the cut")), cell(at("object_iou", "hardest")),
               cell(at("object_iou", "better side of the cut")), cell(at("wrong_side", "hardest"), error=True),
               cell(at("wrong_side", "eigenvector"), error=True), " / ".join(hidden),
               cell(at("position_bias", "hardest"), 3), *map(cell, alone)]
        print(f"| {epoch} | " + " | ".join(row) + " |")
    stored = series(metrics, "stored_auc", last, "")
    for epoch, value in stored.items():
        hidden = [series(metrics, "stored_hidden_share", last, label)[epoch]
                  for label in ("informed mask", "random mask")]
        print(f"\nMaps stored after epoch {epoch:.0f}: AUC {cell(value, error=True)}, hidden by informed masks "
              f"{cell(hidden[0])}, by random ones {cell(hidden[1])}.")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sgmae", default="build/sgmae")
    parser.add_argument("--work", type=Path, default=Path(".data/guidance"))
    parser.add_argument("--set", nargs="+", action="append", default=[], metavar="NAME RUN IMAGES [OBJECTS]")
    parser.add_argument("--images", default="1000", help="of each set; 0: all")
    parser.add_argument("--split", default="train")
    parser.add_argument("--threads", default="0")
    options = parser.parse_args()
    sets = options.set or default_sets(options.sgmae, options.work, options.threads)
    for name, run_or_file, data, *objects in sets:
        found = {(features, centring): analyse(options.sgmae, options.work, name, run_or_file, data,
                                               objects[0] if objects else "", features, centring, options)
                 for features in FEATURES for centring in CENTRING}
        first = next(iter(found.values()))
        print(f"\n## {name}: {first['data']['images_with_objects']} images")
        print_rules(name, found)
        print_epochs(name, first, max(of_rule(first, "relevance_auc", 0, "eigenvector")))


if __name__ == "__main__":
    main()

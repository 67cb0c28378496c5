"""Images in which every object is known: cut-out stamps pasted on photos, in COCO's layout.

    /usr/bin/python3 bench/composites.py FOLDER [--labels] [--train 3000] [--val 200] [--side 192] [--seed 0]

writes FOLDER/annotations/instances_{train,val}.json, with a box and a mask of what is visible of each
object, and the images beside; with --labels the images to FOLDER/images/{train,val} and the class of every
pixel to FOLDER/labels/{train,val} (0 photo, then the classes of FOLDER/classes.txt). Stamps and photos of `val` are others than those of `train`. By default both
come from Debian packages (tuxpaint-stamps-default; ukui-wallpapers, mate-backgrounds); --stamps and --photos
name folders of one's own, then with a folder of transparent PNG files for each class.

Python with Debian's python3-pil alone, and no command of sgmae: what is drawn here is known from outside of
the program that is judged by it, and `./dev demo detect` and `./dev demo segment` need half a megabyte for it.
"""
import argparse
import json
import random
import re
from pathlib import Path

from PIL import Image

STAMPS = Path("/usr/share/tuxpaint/stamps")
PHOTOS = Path("/usr/share/backgrounds")
# By where Tux Paint keeps them.
CLASSES = {"animal": "animals", "flower": "plants/flowers", "money": "symbols/money", "sign": "town/roadsigns"}


def stamps_in(folder):
    return sorted(p for p in folder.rglob("*.png") if not p.stem.endswith("_mirror"))


def photos_in(folder):
    return sorted(p for p in folder.rglob("*") if p.suffix in (".jpg", ".png"))


def part_of(files, part):
    """Every fourth is for `val`. What comes in several sizes is one (photo.jpg, photo_3840x2160.jpg)."""
    names = sorted({p.stem.split("_")[0] for p in files})
    return [p for p in files if (names.index(p.stem.split("_")[0]) % 4 == 3) == (part == "val")]


def opened(photos, longest):
    """The photos themselves, small."""
    images = []
    for path in photos:
        photo = Image.open(path).convert("RGB")
        photo.thumbnail((longest, longest))
        images.append(photo)
    return images


def cut_out(path):
    stamp = Image.open(path).convert("RGBA")
    return stamp.crop(stamp.getbbox())


def run_lengths(mask):
    """COCO's: down the columns, not object and object in turn."""
    pixels = mask.transpose(Image.TRANSPOSE).tobytes()
    counts = [len(run) for run in re.findall(rb"\x00+|[^\x00]+", pixels)]
    return counts if pixels[0] == 0 else [0] + counts


def compose(draw, photos, stamps, side, most, sizes):
    """A square of a photo with 1 to `most` stamps of [(class, file)], anywhere and also across the border:
    the image and [(class, mask)], what is visible of each. None if hardly anything of one is."""
    photo = draw.choice(photos)
    chosen = [draw.choice(stamps) for _ in range(draw.randint(1, most) if most > 1 else 1)]
    edge = draw.randint(max(photo.size) // 4, min(photo.size))
    left, top = draw.randint(0, photo.width - edge), draw.randint(0, photo.height - edge)
    image = photo.crop((left, top, left + edge, top + edge)).resize((2 * side, 2 * side))
    masks = []
    for _, path in chosen:
        stamp = cut_out(path)
        scale = draw.uniform(*sizes) * 2 * side / max(stamp.size)
        stamp = stamp.resize([max(1, int(x * scale)) for x in stamp.size])
        place = [draw.randint(-x // 2, 2 * side - x // 2) for x in stamp.size]
        image.paste(stamp, place, stamp)
        opaque = Image.new("L", image.size)
        opaque.paste(stamp.getchannel("A").point(lambda a: 255 * (a > 127)), place)
        for mask in masks:
            mask.paste(0, (0, 0), opaque)
        masks.append(opaque)
    if any(mask.histogram()[255] < mask.width * mask.height / 100 for mask in masks):
        return None
    masks = [mask.resize((side, side), Image.NEAREST) for mask in masks]
    return image.resize((side, side)), [(name, mask) for (name, _), mask in zip(chosen, masks)]


def annotations_of(objects, names, image, first):
    annotations = []
    for name, mask in objects:
        left, top, right, bottom = mask.getbbox()
        annotations.append({"id": first + len(annotations), "image_id": image, "iscrowd": 0,
                            "category_id": names.index(name) + 1, "bbox": [left, top, right - left, bottom - top],
                            "area": mask.histogram()[255],
                            "segmentation": {"size": list(mask.size)[::-1], "counts": run_lengths(mask)}})
    return annotations


def label_map(objects, names, size):
    labels = Image.new("L", size)
    for name, mask in objects:
        labels.paste(names.index(name) + 1, (0, 0), mask)
    return labels


def make_part(folder, part, count, seed, photos, stamps, side=256, most=3, sizes=(0.3, 0.6), suffix="jpg", labels=False):
    """`count` images and their annotations, or labels of their pixels; stamps: {class: files}."""
    draw = random.Random(seed)
    names = sorted(stamps)
    # Classes are equally frequent, however many stamps they have.
    largest = max(map(len, stamps.values()))
    drawn = [(name, path) for name in names for path in stamps[name] * round(largest / len(stamps[name]))]
    images, annotations = [], []
    place = folder / "images" / part if labels else folder / part
    place.mkdir(parents=True, exist_ok=True)
    if labels:
        (folder / "labels" / part).mkdir(parents=True, exist_ok=True)
        (folder / "classes.txt").write_text("".join(f"{name}\n" for name in ["photo", *names]))
    while len(images) < count:
        made = compose(draw, photos, drawn, side, most, sizes)
        if made is None:
            continue
        file = f"{len(images):05}.{suffix}"
        made[0].save(place / file, **({"quality": 92} if suffix == "jpg" else {}))
        images.append({"id": len(images) + 1, "file_name": file, "width": side, "height": side})
        if labels:
            label_map(made[1], names, (side, side)).save(folder / "labels" / part / f"{file[:-4]}.png")
        else:
            annotations += annotations_of(made[1], names, len(images), len(annotations) + 1)
    if labels:
        return
    (folder / "annotations").mkdir(exist_ok=True)
    categories = [{"id": number, "name": name} for number, name in enumerate(names, 1)]
    (folder / "annotations" / f"instances_{part}.json").write_text(
        json.dumps({"images": images, "annotations": annotations, "categories": categories}))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--stamps", type=Path)
    parser.add_argument("--labels", action="store_true", help="classes of pixels instead of objects")
    parser.add_argument("--photos", type=Path, default=PHOTOS)
    parser.add_argument("--train", type=int, default=3000, help="images")
    parser.add_argument("--val", type=int, default=200, help="images")
    parser.add_argument("--side", type=int, default=192, help="of the square images, in pixels")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.stamps:
        classes = {p.name: stamps_in(p) for p in options.stamps.iterdir() if p.is_dir()}
    else:
        classes = {name: stamps_in(STAMPS / folder) for name, folder in CLASSES.items()}
    for part, count in (("train", options.train), ("val", options.val)):
        make_part(options.folder, part, count, f"{options.seed} {part}",
                  opened(part_of(photos_in(options.photos), part), 4 * options.side),
                  {name: part_of(files, part) for name, files in classes.items()}, options.side,
                  labels=options.labels)


if __name__ == "__main__":
    main()

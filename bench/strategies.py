"""./dev bench strategies: what the masks of each strategy cost over plain MAE's, a step of each in turns.

The published figures are those of the paper's Table IV that could be told apart. For maps that are made now and then, "run" adds their
passes to 400 epochs of steps.
"""

import argparse
import json
import statistics

import machine

STRATEGIES = ["self_guided", "amt", "hpm", "semmae", "attmask", "clmae", "adios", "automae", "block_wise", "grid", "checkerboard"]
PUBLISHED = {"self_guided": 1, "amt": 1, "hpm": 1.5, "clmae": 6}
PASSES = {"self_guided": 1, "semmae": 1, "amt": 9}
EPOCHS = 400


class Trainer(machine.Contender):
    """Says first what does not come with every step."""

    def __init__(self, strategy, options):
        command = [options.ours, strategy, options.model, options.precision, str(options.batch), str(options.threads)]
        self.name, self.times, self.cpu, self.peak = strategy, [], [], 0
        self.process = machine.start(command, machine.environment(options, peer=False))
        self.facts = json.loads(self.process.stdout.readline())
        json.loads(self.process.stdout.readline())  # ready


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--ours", required=True)
    parser.add_argument("--model", choices=["small", "base"], default="base")
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    parser.add_argument("--batch", type=int, help="images of a step: 16, of the small model 256")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--strategies", nargs="+", default=STRATEGIES)
    machine.add_options(parser)
    options = parser.parse_args()
    options.batch = options.batch or {"base": 16, "small": 256}[options.model]

    print(machine.processor())
    print(f"{options.model} model, {options.precision}, batch {options.batch}, {options.threads} threads, {options.rounds} rounds"
          f"{machine.held(options)}; over plain MAE in the same rounds\n")
    print(f"{'':14}{'step':>6} {'(min - max)':>13}{'run':>8}{'memory':>8}{'own M':>8}{'published':>11}")
    for name in options.strategies:
        plain, trainer = Trainer("random", options), Trainer(name, options)
        for _ in range(options.rounds):
            plain.round()
            trainer.round()
        for contender in (plain, trainer):
            contender.close()
        ratios = [ours / mae for ours, mae in zip(trainer.times, plain.times)]
        step = statistics.median(ratios)
        of_image = statistics.median(plain.times) / options.batch
        run = step + PASSES.get(name, 0) * trainer.facts["pass_seconds"] / (EPOCHS * of_image)
        print(f"{name:14}{step:6.3f} {f'({min(ratios):.2f} - {max(ratios):.2f})':>13}{run:8.4f}"
              f"{trainer.peak / plain.peak:8.2f}{trainer.facts['parameters'] * 1e-6:8.2f}{PUBLISHED.get(name, ''):>11}", flush=True)


main()

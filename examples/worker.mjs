// Batch normalisation in JavaScript behind the worker protocol (docs/protocol.md), a template for
// workers in other languages: forward and running statistics in float32 and float64, and errors.
//
//     bn-harness run --tag forward --target 'exec:node examples/worker.mjs'

import { createInterface } from "node:readline";

const ARRAYS = { float32: Float32Array, float64: Float64Array, int64: BigInt64Array };
const HELLO = {
  protocol: 1,
  versions: { node: process.versions.node },
  dtypes: ["float32", "float64"],
  backward: false,
  state_dict: false,
};

class Failure extends Error {
  constructor(type, message) {
    super(message);
    this.type = type;
  }
}
const fail = (type, message) => { throw new Failure(type, message); };
const unsupported = (what) => fail("Unsupported", `the worker has no ${what}`);

// ---- Arrays ------------------------------------------------------------------------------------

const rowMajor = (shape) =>
  shape.map((_, axis) => shape.slice(axis + 1).reduce((all, size) => all * Math.max(size, 1), 1));

function unpack({ dtype, shape, strides, data }) {
  const bytes = Buffer.from(data, "base64");
  const memory = new ARRAYS[dtype](new Uint8Array(bytes).buffer);
  return { dtype, shape, strides: strides ?? rowMajor(shape), memory };
}

const pack = ({ dtype, shape, strides, memory }) => ({
  dtype, shape, strides, data: Buffer.from(memory.buffer).toString("base64"),
});

const make = (dtype, shape, value, strides = rowMajor(shape)) => {
  const size = shape.reduce((all, each) => all * each, 1);
  return { dtype, shape, strides, memory: new ARRAYS[dtype](size).fill(value) };
};

const plain = (value) => // what JSON has no word for comes as a text
  typeof value === "string" ? Number(value.replace("inf", "Infinity")) : value;

/** A number as Python's messages spell it. */
const spelled = (value) =>
  value !== 0 && Math.abs(value) < 1e-4
    ? value.toExponential().replace(/e-(\d)$/, "e-0$1")
    : String(value);

/** Call with the places in memory of each element of a channel, in each of the arrays. */
function each(channel, arrays, visit) {
  const [N, , H, W] = arrays[0].shape;
  for (let n = 0; n < N; n++)
    for (let h = 0; h < H; h++)
      for (let w = 0; w < W; w++)
        visit(...arrays.map(({ strides: s }) => n * s[0] + channel * s[1] + h * s[2] + w * s[3]));
}

/** The strides of an output: channels_last where the input is that and not row-major too. */
function outputStrides({ shape, strides }) {
  const dense = (order) => {
    let expected = 1;
    return order.every((axis) => {
      const fits = shape[axis] === 1 || strides[axis] === expected;
      expected *= shape[axis];
      return fits;
    });
  };
  const [, C, H, W] = shape;
  if (shape.includes(0) || dense([3, 2, 1, 0]) || !dense([1, 3, 2, 0])) return rowMajor(shape);
  return [H * W * C, 1, W * C, C];
}

// ---- The module --------------------------------------------------------------------------------

class BatchNorm2d {
  constructor(given) {
    const defaults = {
      eps: 1e-5, momentum: 0.1, affine: true, track_running_stats: true, bias: true,
      dtype: "float32",
    };
    Object.assign(this, defaults, given, { training: true });
    this.eps = plain(this.eps);
    this.momentum = plain(this.momentum);
    const C = this.num_features;
    if (C < 0) fail("RuntimeError", `Trying to create tensor with negative dimension ${C}`);
    const vector = (value) => make(this.dtype, [C], value);
    this.weight = this.affine ? vector(1) : null;
    this.bias = this.affine && this.bias ? vector(0) : null;
    this.running_mean = this.track_running_stats ? vector(0) : null;
    this.running_var = this.track_running_stats ? vector(1) : null;
    this.num_batches_tracked = this.track_running_stats ? make("int64", [], 0n) : null;
  }

  state() {
    const names = ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"];
    return Object.fromEntries(names.map((name) => [name, this[name] && pack(this[name])]));
  }

  reset_running_stats() {
    if (!this.track_running_stats) return;
    this.running_mean.memory.fill(0);
    this.running_var.memory.fill(1);
    this.num_batches_tracked.memory.fill(0n);
  }

  reset_parameters() {
    this.reset_running_stats();
    if (this.affine) this.weight.memory.fill(1);
    if (this.affine && this.bias) this.bias.memory.fill(0);
  }

  cast(dtype) {
    if (!HELLO.dtypes.includes(dtype))
      fail("TypeError", `nn.Module.to only accepts floating point or complex dtypes, got ${dtype}`);
    for (const name of ["weight", "bias", "running_mean", "running_var"])
      if (this[name])
        this[name] = { ...this[name], dtype, memory: ARRAYS[dtype].from(this[name].memory) };
  }

  /** The checks are in torch's order: it decides how far the state has moved before an error. */
  forward(input) {
    const { shape, dtype } = input;
    if (shape.length !== 4)
      fail("ValueError", `expected 4D input (got ${shape.length}D input)`);
    let factor = this.momentum ?? 0;
    if (this.training && this.track_running_stats && this.num_batches_tracked) {
      this.num_batches_tracked.memory[0] += 1n;
      if (this.momentum === null) factor = 1 / Number(this.num_batches_tracked.memory[0]);
    }
    const ofBatch = this.training || (!this.running_mean && !this.running_var);
    const tracked = !this.training || this.track_running_stats;
    const mean = tracked ? this.running_mean : null;
    const variance = tracked ? this.running_var : null;
    const { weight, bias } = this;
    const [N, C, H, W] = shape;
    const n = N * H * W;
    if (ofBatch && n === 1)
      fail("ValueError", "Expected more than 1 value per channel when training, " +
        `got input size torch.Size([${shape.join(", ")}])`);
    if (ofBatch && this.eps <= 0)
      fail("ValueError", `batch_norm eps must be positive during training, but got ${spelled(this.eps)}`);
    if (this.eps < 0)
      fail("ValueError", `batch_norm eps must be non-negative, but got ${spelled(this.eps)}`);
    const output = make(dtype, shape, 0, outputStrides(input));
    if (n * C === 0) return output;
    for (const [name, array] of Object.entries({ mean, variance, weight, bias })) {
      const full = { mean: "running_mean", variance: "running_var" }[name] ?? name;
      if (array && array.memory.length !== C)
        fail("RuntimeError", `${full} should contain ${C} elements not ${array.memory.length}`);
      if (!array && full !== name && !ofBatch)
        fail("RuntimeError", `${full} must be defined in evaluation mode`);
    }
    if (!mean !== !variance)
      fail("ValueError",
        "running_mean and running_var must either both be None or neither be None");
    for (const array of [weight, bias, mean, variance])
      if (array && array.dtype !== dtype)
        fail("RuntimeError", dtype === "float64"
          ? "mixed dtype (CPU): all inputs must share same datatype."
          : "mixed dtype (CPU): expect parameter to have scalar type of Float");
    for (let c = 0; c < C; c++) {
      let [center, spread] = ofBatch ? moments(input, c, n) : [mean.memory[c], variance.memory[c]];
      if (ofBatch && mean) { // an array of float32 rounds what is put into it
        const update = (old, batch) => (1 - factor) * old + factor * batch;
        mean.memory[c] = update(mean.memory[c], center);
        variance.memory[c] = update(variance.memory[c], (spread * n) / (n - 1));
      }
      const scale = (weight ? weight.memory[c] : 1) / Math.sqrt(spread + this.eps);
      const shift = bias ? bias.memory[c] : 0;
      each(c, [input, output], (from, to) => {
        output.memory[to] = (input.memory[from] - center) * scale + shift;
      });
    }
    return output;
  }
}

/** Mean and biased variance of a channel, in two passes. */
function moments(input, channel, n) {
  let sum = 0, squares = 0;
  each(channel, [input], (at) => { sum += input.memory[at]; });
  const mean = sum / n;
  each(channel, [input], (at) => { squares += (input.memory[at] - mean) ** 2; });
  return [mean, squares / n];
}

// ---- The protocol ------------------------------------------------------------------------------

function execute({ number, module: given, state, steps }) {
  let module;
  try {
    module = new BatchNorm2d(given);
    for (const [name, value] of Object.entries(state))
      module[name].memory.set(unpack(value).memory);
  } catch (error) {
    return { number, raised: raised("construct", error) };
  }
  const initial = module.state();
  const records = [];
  steps.forEach((step, index) => {
    const [[kind, what]] = Object.entries(step);
    const { repeat = 1 } = typeof what === "string" ? {} : what; // a string has a method of this name
    for (let repetition = 0; repetition < repeat; repetition++) {
      const record = { step: index, repetition };
      try {
        run(module, kind, what, record);
      } catch (error) {
        if (error.type === "Unsupported") record.unsupported = error.message;
        else record.raised = raised(record.results ? "forward" : kind, error);
      }
      records.push({ ...record, state: module.state() });
    }
  });
  return { number, initial, steps: records };
}

function run(module, kind, what, record) {
  if (kind === "train" || kind === "eval") {
    module.training = kind === "train";
    record.results = {};
    record.results.output = pack(module.forward(unpack(what.input)));
  } else if (kind === "set") {
    for (const [name, value] of Object.entries(what)) {
      if (value !== null && typeof value === "object") unsupported("assignment of arrays");
      if (name === "num_batches_tracked" && value !== null) unsupported("assignment of a count");
      module[name] = plain(value);
    }
  } else if (kind === "cast") module.cast(what);
  else if (kind === "call" && what !== "deepcopy") module[what]();
  else if (kind !== "call") unsupported(kind);
}

const raised = (phase, error) => ({
  phase,
  type: error.type ?? "AttributeError", // what torch raises where an array is gone
  message: error.message,
});

for await (const line of createInterface({ input: process.stdin })) {
  const message = JSON.parse(line);
  const answer = message.case ? { trace: execute(message.case) } : { hello: HELLO };
  process.stdout.write(JSON.stringify(answer) + "\n");
}

/** What stands below the options in `skerry publish --help`. */
export const PUBLISH_HELP = `
Golden samples
  A golden sample is an input with its expected output, stored in the version. Every device runs the golden
  samples before it serves the version. Without --golden, inputs are generated: random numbers, with dynamic
  dimensions of size 1 (or as --dim says). That suits models that accept any numbers. For other models give a
  few different real inputs, one file per sample:

  JSON         {"inputs": {"input": {"shape": [1, 512], "random": [-0.1, 0.1]},
                           "state": {"shape": [2, 1, 128], "fill": 0},
                           "sr":    {"data": [16000]}}}
               Each input has one of "data" (flat or nested), "fill" (the same number everywhere) and
               "random" (pseudo-random numbers in a range). "shape" is optional where the model declares it.
               "outputs", in the same form, states outputs that the model must match within the tolerance.
  safetensors  tensors named as the inputs and outputs, or inputs/NAME and outputs/NAME (as from
               safetensors.numpy.save_file in Python).
  npz          the same, from numpy.savez; npy (numpy.save) for a model with one input.

  --golden-shape-only is for models with random outputs: devices compare only types and shapes.

  NaN and infinities in golden outputs are refused unless --allow-not-finite names the output. Devices then
  accept the kinds that the golden samples show; any other non-finite value counts as a failed prediction.
  In JSON these values are the strings "NaN", "Infinity" and "-Infinity".

  Devices accept a dimension of size 0 only if a golden sample has one.

  "skerry inspect MODEL" shows names, types, shapes, operators and metadata.

Outputs
  A version offers all outputs, or those that --output names. Outputs that are not plain tensors are offered as
  tensors: the maps of a scikit-learn classifier (ZipMap) as one row of scores per sample, a sequence of tensors
  of one shape stacked, an optional tensor as itself. Agents that cannot do this refuse the version by name. What
  has no such rule cannot be served: leave it out. If an output has another shape than the model declares, the
  actual shape is recorded, with a note.

Variants
  The model file given as argument is the reference variant. Golden samples are recorded with it, and each
  --variant must match them within the tolerance: |actual - expected| <= ABSOLUTE + RELATIVE x |expected|.
  The tolerance applies to floating-point outputs. Integers, booleans and strings must be equal.
  --output-tolerance gives one output a tolerance of its own: scores=0.05,0.01 for floating-point values,
  pixels=1 for integers that may be off by 1.

Batching
  --batch lets a device stack requests along dimension 0. The model must return one row of every output for
  each input row, and rows must not influence one another. Publishing checks this by running samples together
  and one by one, and refuses a model that fails. A device checks the rows of every batch as well. If a check
  fails, it answers each request separately and stops batching for that version.

Examples
  skerry publish vad.onnx --name vad --golden speech.json --golden silence.json --keys ./publisher
  skerry publish classifier.onnx --name classifier --variant int8=classifier-int8.onnx --tolerance 0.05,0.05 \\
      --dim batch=1 --batch 16 --keys ./publisher --passphrase-file ./passphrase
`;

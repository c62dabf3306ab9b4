/** What stands below the options in `skerry publish --help`. */
export const PUBLISH_HELP = `
Golden samples
  A version carries inputs with the outputs they must give; every device checks itself with them before it
  serves the version. Without --golden, inputs are made up: random numbers, varying dimensions of size 1 (or
  as --dim says). That suits models that accept any numbers. For the others give real inputs, one file per
  sample, best a few different ones:

  JSON         {"inputs": {"input": {"shape": [1, 512], "random": [-0.1, 0.1]},
                           "state": {"shape": [2, 1, 128], "fill": 0},
                           "sr":    {"data": [16000]}}}
               Each input has one of "data" (flat or nested), "fill" (one number everywhere) and "random"
               (repeatable numbers between two). "shape" may be left out where the model declares it. With
               "outputs" in the same form the model must give these, within the tolerance.
  safetensors  tensors named as the inputs and outputs, or inputs/NAME and outputs/NAME (as from
               safetensors.numpy.save_file in Python).
  npz          the same, from numpy.savez; npy (numpy.save) for a model of one input.

  --golden-shape-only is for models whose values are random: devices compare types and shapes alone.

  NaN and infinities in golden outputs are refused unless --allow-not-finite names the output. What golden
  samples show there is right on devices, too; any other value that is not finite counts as a failed prediction.
  In JSON these values are the strings "NaN", "Infinity" and "-Infinity".

  A size of 0 is served only where a golden sample has one: devices try it there before they serve it.

  "skerry inspect MODEL" shows names, types, shapes, operators and metadata.

Outputs
  A version offers all outputs, or those that --output names. Outputs that are no tensors, such as the maps of
  a scikit-learn classifier, cannot be served: leave them out, or export the model with zipmap=False. An output
  that comes in another shape than the model declares is recorded as it came, with a note.

Variants
  The model given first is the reference: samples are recorded with it, and each --variant must agree with
  them within the tolerance: |actual - expected| <= ABSOLUTE + RELATIVE x |expected|. That is for
  floating-point outputs. Integers (class and token ids), booleans and strings must be equal.
  --output-tolerance gives one output a tolerance of its own: scores=0.05,0.01 for floating-point values,
  pixels=1 for integers that may be off by 1.

Batching
  --batch lets a device stack requests along dimension 0. It takes a model that gives one row of every output
  for each input row, whose rows do not influence one another. Publishing runs different samples together and
  apart and refuses a model that does not hold. A device runs the first requests alone and checks the rows of every
  run; should one not hold, it answers each request by itself and stops batching that version.

Examples
  skerry publish vad.onnx --name vad --golden speech.json --golden silence.json --keys ./publisher
  skerry publish classifier.onnx --name classifier --variant int8=classifier-int8.onnx --tolerance 0.05,0.05 \\
      --dim batch=1 --batch 16 --keys ./publisher --passphrase-file ./passphrase
`;

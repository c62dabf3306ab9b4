import { describe, expect, it } from 'vitest';
import { ortMessage } from '#shared/tensor/ort-message.js';

// Texts as ONNX Runtime 1.30 and older releases give them.
describe("the runtime's sentence (14)", () => {
  it.each([
    [
      'Load model from m.onnx failed:/onnxruntime_src/onnxruntime/core/graph/model_load_utils.h:46 void onnxruntime::model_load_utils::ValidateOpsetForDomain(const std::unordered_map<std::__cxx11::basic_string<char>, int>&, const onnxruntime::logging::Logger&, bool, const std::string&, int) ONNX Runtime only *guarantees* support for models (of opset 7 to 26). Opset 99 is under development.\n',
      'ONNX Runtime only *guarantees* support for models (of opset 7 to 26). Opset 99 is under development.',
    ],
    [
      "Non-zero status code returned while running Add node. Name:'' Status Message: /onnxruntime_src/onnxruntime/core/providers/cpu/math/element_wise_ops.h:563 void onnxruntime::BroadcastIterator::Init(ptrdiff_t, ptrdiff_t) axis == 1 || axis == largest was false. Attempting to broadcast an axis by a dimension other than 1. 2 by 3\n",
      "Non-zero status code returned while running Add node. Name:'' Status Message: Attempting to broadcast an axis by a dimension other than 1. 2 by 3",
    ],
    [
      "Non-zero status code returned while running Resize node. Name:'' Status Message: upsamplebase.h:548 ScalesValidation Scale value should be greater than 0.",
      "Non-zero status code returned while running Resize node. Name:'' Status Message: Scale value should be greater than 0.",
    ],
    [
      '/onnxruntime_src/onnxruntime/core/framework/x.cc:9 onnxruntime::common::Status onnxruntime::Op<T>::Compute(onnxruntime::OpKernelContext*) const [with T = float] The size (3) is odd.',
      'The size (3) is odd.',
    ],
    [
      '/onnxruntime_src/onnxruntime/core/session/y.h:12 onnxruntime::Run()::<lambda(const std::vector<int>&)> Nothing (really) to run.',
      'Nothing (really) to run.',
    ],
    [
      'Got invalid dimensions for input: x for the following indices\n index: 1 Got: 3 Expected: 4\n Please fix either.',
      'Got invalid dimensions for input: x for the following indices index: 1 Got: 3 Expected: 4 Please fix either.',
    ],
    ['/onnxruntime_src/onnxruntime/core/z.cc:5 void f(int) It failed.\nStacktrace:\n at 0x1 in /lib/x.so\n', 'It failed.'],
    ['Load model from page.onnx failed:Protobuf parsing failed.', 'Protobuf parsing failed.'],
  ])('%#: is what stays', (thrown, sentence) => {
    expect(ortMessage(new Error(thrown))).toBe(sentence);
  });

  it('is never without an end', () => {
    expect(ortMessage('x'.repeat(10_000))).toHaveLength(1504);
    expect(ortMessage('/onnxruntime_src/onnxruntime/a.cc:1 void onnxruntime::F(int')).toContain('onnxruntime::F(int');
  });
});

# A model of KServe's Python server that runs ONNX: python kserve_vad.py MODEL_FILE --http_port N --grpc_port N
import sys

import onnxruntime
from kserve import InferOutput, InferRequest, InferResponse, Model, ModelServer


class OnnxModel(Model):
    def __init__(self, file: str):
        super().__init__("vad")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        self.ready = True

    def predict(self, payload: InferRequest, headers=None, response_headers=None) -> InferResponse:
        answers = self._session.run(None, {one.name: one.as_numpy().reshape(one.shape) for one in payload.inputs})
        outputs = []
        for described, answer in zip(self._session.get_outputs(), answers):
            output = InferOutput(described.name, list(answer.shape), "FP32")
            output.set_data_from_numpy(answer, binary_data=True)
            outputs.append(output)
        return InferResponse(response_id=payload.id or "", model_name="vad", infer_outputs=outputs)


if __name__ == "__main__":
    file = sys.argv.pop(1)
    ModelServer(workers=1, enable_docs_url=False).start([OnnxModel(file)])

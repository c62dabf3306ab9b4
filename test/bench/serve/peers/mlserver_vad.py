# A model of MLServer that runs ONNX, as its documentation says to write one: MLServer has none of its own.
import onnxruntime
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse


class OnnxModel(MLModel):
    async def load(self) -> bool:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(self.settings.parameters.uri, options, providers=["CPUExecutionProvider"])
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        feeds = {one.name: NumpyCodec.decode_input(one) for one in payload.inputs}
        # A scalar has no dimension, and MLServer gives it one.
        feeds["sr"] = feeds["sr"].reshape(())
        answers = self._session.run(None, feeds)
        names = [one.name for one in self._session.get_outputs()]
        outputs = [NumpyCodec.encode_output(name, answer) for name, answer in zip(names, answers)]
        return InferenceResponse(model_name=self.name, outputs=outputs)

"""KServe's clients (argument `kserve`) and a client of TensorFlow Serving (`tfs`), unchanged. Further arguments: HTTP address, gRPC address.

Prints a JSON object: for each case "ok", or what went wrong. The model: affine (FP32 x [-1, 4] -> y = 2x + 1).
"""

import asyncio
import json
import sys

import numpy as np

kind, http_address, grpc_address = sys.argv[1:4]
results = {}
X = np.array([[1, 2, 3, 4]], dtype=np.float32)
Y = X * 2 + 1


def case(name, run):
    try:
        run()
        results[name] = "ok"
    except BaseException as failure:
        results[name] = f"{type(failure).__name__}: {failure}"


def kserve_cases():
    from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest, RESTConfig

    url = f"http://{http_address}"

    def request():
        tensor = InferInput("x", [1, 4], "FP32")
        tensor.set_data_from_numpy(X, binary_data=False)
        return InferRequest("affine", [tensor])

    def v2():
        async def ask():
            client = InferenceRESTClient(RESTConfig(protocol="v2", retries=0))
            assert await client.is_server_live(url)
            assert await client.is_server_ready(url)
            assert await client.is_model_ready(url, "affine")
            answer = await client.infer(url, request(), model_name="affine")
            np.testing.assert_array_equal(answer.outputs[0].as_numpy(), Y)
            await client.close()

        asyncio.run(ask())

    def grpc():
        async def ask():
            client = InferenceGRPCClient(grpc_address)
            assert await client.is_server_live() and await client.is_server_ready() and await client.is_model_ready("affine")
            answer = await client.infer(request())
            np.testing.assert_array_equal(answer.outputs[0].as_numpy(), Y)
            await client.close()

        asyncio.run(ask())

    case("kserve v2 REST", v2)
    case("kserve gRPC", grpc)


def tfs_cases():
    import grpc
    from ovmsclient import make_grpc_client, make_http_client

    def rest():
        client = make_http_client(http_address)
        np.testing.assert_allclose(client.predict({"x": X}, "affine"), Y)
        assert client.get_model_status("affine")[1]["state"] == "AVAILABLE"
        # It hands TensorFlow Serving's document over as it is.
        signatures = client.get_model_metadata("affine")["metadata"]["signature_def"]["signature_def"]
        assert "x" in signatures["serving_default"]["inputs"], signatures

    def grpc_calls():
        client = make_grpc_client(grpc_address)
        np.testing.assert_allclose(client.predict({"x": X}, "affine"), Y)
        assert client.get_model_status("affine")[1]["state"] == "AVAILABLE"
        assert "x" in client.get_model_metadata("affine")["inputs"]

    # Calls that its class does not have, with the messages and stubs that come with it.
    def more_grpc_calls():
        from ovmsclient.tfs_compat.protos.tensorflow_serving.apis import (
            classification_pb2,
            inference_pb2,
            model_management_pb2,
            model_service_pb2_grpc,
            prediction_service_pb2_grpc,
            regression_pb2,
        )

        channel = grpc.insecure_channel(grpc_address)
        prediction = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        models = model_service_pb2_grpc.ModelServiceStub(channel)

        classify = classification_pb2.ClassificationRequest()
        classify.model_spec.name = "affine"
        classify.input.example_list.examples.add().features.feature["x"].float_list.value.extend([1, 2, 3, 4])
        answer = prediction.Classify(classify)
        assert [one.score for one in answer.result.classifications[0].classes] == [3, 5, 7, 9], answer
        assert (answer.model_spec.name, answer.model_spec.version.value) == ("affine", 1), answer

        regress = regression_pb2.RegressionRequest()
        regress.model_spec.name = "narrow"
        with_context = regress.input.example_list_with_context
        with_context.context.features.feature["x"].float_list.value.append(1)
        with_context.examples.add()
        with_context.examples.add().features.feature["x"].float_list.value.append(2)
        answer = prediction.Regress(regress)
        assert [one.value for one in answer.result.regressions] == [3, 5], answer

        multi = inference_pb2.MultiInferenceRequest()
        multi.input.CopyFrom(regress.input)
        for method in ["classify", "regress"]:
            multi.tasks.add(model_spec=regress.model_spec, method_name=f"tensorflow/serving/{method}")
        first, second = prediction.MultiInference(multi).results
        assert [one.classes[0].score for one in first.classification_result.classifications] == [3, 5], first
        assert [one.value for one in second.regression_result.regressions] == [3, 5], second

        def serve(*names):
            request = model_management_pb2.ReloadConfigRequest()
            for name in names:
                request.config.model_config_list.config.add(name=name, model_platform="tensorflow")
            return models.HandleReloadConfigRequest(request).status

        served = ["affine", "text", "token", "slow", "narrow"]
        assert serve(*served, "spare").error_code == 0
        assert make_grpc_client(grpc_address).get_model_status("spare")[1]["state"] == "AVAILABLE"
        assert serve(*served).error_code == 0
        try:
            serve("nosuch")
            raise AssertionError("a model that is not there was served")
        except grpc.RpcError as failure:
            assert failure.code() == grpc.StatusCode.NOT_FOUND, failure

    case("ovmsclient REST", rest)
    case("ovmsclient gRPC", grpc_calls)
    case("TensorFlow Serving's messages over gRPC", more_grpc_calls)


{"kserve": kserve_cases, "tfs": tfs_cases}[kind]()
print(json.dumps(results))

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
    from ovmsclient import make_http_client

    def rest():
        client = make_http_client(http_address)
        np.testing.assert_allclose(client.predict({"x": X}, "affine", model_version=1), Y)
        assert client.get_model_status("affine", model_version=1)[1]["state"] == "AVAILABLE"
        # It hands TensorFlow Serving's document over as it is.
        signatures = client.get_model_metadata("affine", model_version=1)["metadata"]["signature_def"]["signature_def"]
        assert "x" in signatures["serving_default"]["inputs"], signatures

    case("ovmsclient REST", rest)


{"kserve": kserve_cases, "tfs": tfs_cases}[kind]()
print(json.dumps(results))

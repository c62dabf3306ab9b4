"""Every call of Triton's Python client, over HTTP and gRPC: what its example programs do, written anew.

Arguments: HTTP address, gRPC address (HOST:PORT), and a file with a model to load in place of another. Prints a JSON object: for each case
"ok", or what went wrong. The models: affine (FP32 x [-1, 4] -> y = 2x + 1), text (BYTES text -> answer), token (INT64 x -> token), slow, spare.
"""

import base64
import json
import queue
import sys
import traceback

import numpy as np
import tritonclient.grpc as grpcclient
import tritonclient.grpc.service_pb2 as messages
import tritonclient.http as httpclient
import tritonclient.utils.shared_memory as shm
from tritonclient.utils import InferenceServerException

http_address, grpc_address, spare_file = sys.argv[1:4]
results = {}


def case(name, run):
    try:
        run()
        results[name] = "ok"
    except BaseException as failure:  # a case that ends the interpreter is a failure too
        where = traceback.extract_tb(failure.__traceback__)[1:2]
        results[name] = f"{type(failure).__name__}: {failure} (line {where[0].lineno if where else '?'})"


def refused(run, *texts):
    try:
        run()
    except InferenceServerException as refusal:
        for text in texts:
            assert text in refusal.message(), refusal.message()
        return refusal
    raise AssertionError(f"nothing refused: {texts}")


X = np.array([[1, 2, 3, 4]], dtype=np.float32)
Y = X * 2 + 1
TEXT = np.array(["a", "Grüße", ""], dtype=object)
LONG = np.array([2**60, -1], dtype=np.int64)


def given(api, name, values, datatype, **options):
    tensor = api.InferInput(name, list(values.shape), datatype)
    tensor.set_data_from_numpy(values, **options)
    return tensor


def cases(protocol, api, client):
    is_http = protocol == "http"

    def named(name, run):
        case(f"{protocol} {name}", run)

    json_form = {} if is_http else {"as_json": True}

    def x(values=X):
        return given(api, "x", values, "FP32")

    def health():
        assert client.is_server_live() and client.is_server_ready()
        assert client.is_model_ready("affine") and client.is_model_ready("affine", "1")
        assert not client.is_model_ready("none")

    def metadata():
        server = client.get_server_metadata(**json_form)
        assert server["name"] and "binary_tensor_data" in server["extensions"], server
        model = client.get_model_metadata("affine", **json_form)
        assert model["name"] == "affine" and model["versions"] == ["1"], model
        assert [tensor["datatype"] for tensor in model["inputs"]] == ["FP32"], model

    def config():
        found = client.get_model_config("affine", **json_form)
        found = found if is_http else found["config"]
        assert found["name"] == "affine" and found["input"][0]["data_type"] == "TYPE_FP32", found

    def infer():
        answer = client.infer("affine", [x()], request_id="one", model_version="1")
        np.testing.assert_array_equal(answer.as_numpy("y"), Y)
        reply = answer.get_response() if is_http else answer.get_response(as_json=True)
        assert reply["id"] == "one" and reply["model_name"] == "affine" and reply["model_version"] == "1", reply

    def chosen():
        answer = client.infer("affine", [x()], outputs=[api.InferRequestedOutput("y")])
        np.testing.assert_array_equal(answer.as_numpy("y"), Y)
        assert answer.as_numpy("z") is None

    def strings():
        answer = client.infer("text", [given(api, "text", TEXT, "BYTES")])
        assert [value.decode() for value in answer.as_numpy("answer")] == list(TEXT), answer.as_numpy("answer")

    def integers():
        answer = client.infer("token", [given(api, "x", LONG, "INT64")])
        np.testing.assert_array_equal(answer.as_numpy("token"), LONG + 1)

    def classification():
        answer = client.infer("affine", [x()], outputs=[api.InferRequestedOutput("y", class_count=2)])
        classes = [value.decode() for value in answer.as_numpy("y").reshape(-1)]
        assert [entry.split(":")[:2] for entry in classes] == [["9.000000", "3"], ["7.000000", "2"]], classes

    def shared_memory():
        client.unregister_system_shared_memory()
        inputs = shm.create_shared_memory_region("in", f"/skerry_{protocol}_in", X.nbytes)
        outputs = shm.create_shared_memory_region("out", f"/skerry_{protocol}_out", X.nbytes)
        try:
            shm.set_shared_memory_region(inputs, [X])
            client.register_system_shared_memory("in", f"/skerry_{protocol}_in", X.nbytes)
            client.register_system_shared_memory("out", f"/skerry_{protocol}_out", X.nbytes)
            status = client.get_system_shared_memory_status(**json_form)
            names = [region["name"] for region in status] if is_http else list(status["regions"])
            assert sorted(names) == ["in", "out"], status
            tensor = api.InferInput("x", [1, 4], "FP32")
            tensor.set_shared_memory("in", X.nbytes)
            output = api.InferRequestedOutput("y")
            output.set_shared_memory("out", X.nbytes)
            client.infer("affine", [tensor], outputs=[output])
            np.testing.assert_array_equal(shm.get_contents_as_numpy(outputs, np.float32, [1, 4]), Y)
        finally:
            client.unregister_system_shared_memory()
            shm.destroy_shared_memory_region(inputs)
            shm.destroy_shared_memory_region(outputs)

    def cuda_memory():
        assert not (client.get_cuda_shared_memory_status(**json_form) or {}).get("regions") if not is_http else True
        refused(lambda: client.register_cuda_shared_memory("gpu", base64.b64encode(b"handle"), 0, 16))

    def control():
        def state():
            index = client.get_model_repository_index(**json_form)
            entries = index if is_http else index["models"]
            return {entry["name"]: entry.get("state") for entry in entries}

        assert state()["affine"] == "READY", state()
        client.load_model("spare")
        assert client.is_model_ready("spare") and state()["spare"] == "READY"
        client.unload_model("spare")
        assert not client.is_model_ready("spare")
        with open(spare_file, "rb") as file:
            content = file.read()
        client.load_model("given", config=json.dumps({"backend": "onnxruntime"}), files={"file:1/model.onnx": content})
        assert client.is_model_ready("given")
        client.unload_model("given", unload_dependents=True)
        refused(lambda: client.load_model("none"), "none")

    def statistics():
        found = client.get_inference_statistics("affine", **json_form)["model_stats"][0]
        assert found["name"] == "affine" and int(found["inference_stats"]["success"]["count"]) > 0, found
        assert len(client.get_inference_statistics(**json_form)["model_stats"]) >= 3

    def settings():
        client.get_trace_settings(**json_form)
        client.get_trace_settings("affine", **json_form)
        client.get_log_settings(**json_form)
        # Over TCP, nobody may change them without a key.
        refused(lambda: client.update_log_settings({"log_verbose_level": 1}), "settings")

    def errors():
        refused(lambda: client.infer("none", [x()]), "none")
        refused(lambda: client.infer("affine", [given(api, "y", X, "FP32")]), "y")
        refused(lambda: client.infer("affine", [given(api, "x", LONG, "INT64")]), "INT64", "FP32")
        refused(lambda: client.infer("affine", [x()], outputs=[api.InferRequestedOutput("z")]), "z")
        refused(lambda: client.get_model_metadata("affine", "7"))

    def sequence():
        answer = client.infer("affine", [x()], sequence_id=7, sequence_start=True, sequence_end=True, priority=1, timeout=10_000_000)
        np.testing.assert_array_equal(answer.as_numpy("y"), Y)

    for check in (health, metadata, config, infer, chosen, strings, integers, classification, shared_memory, cuda_memory, control, statistics, settings, errors, sequence):
        named(check.__name__.replace("_", " "), check)


http = httpclient.InferenceServerClient(http_address, concurrency=4)
grpc = grpcclient.InferenceServerClient(grpc_address)
cases("http", httpclient, http)
cases("grpc", grpcclient, grpc)


def http_async():
    tensor = given(httpclient, "x", X, "FP32")
    pending = [http.async_infer("affine", [tensor]) for _ in range(8)]
    for one in pending:
        np.testing.assert_array_equal(one.get_result().as_numpy("y"), Y)


def http_json():
    tensor = given(httpclient, "x", X, "FP32", binary_data=False)
    output = httpclient.InferRequestedOutput("y", binary_data=False)
    np.testing.assert_array_equal(http.infer("affine", [tensor], outputs=[output]).as_numpy("y"), Y)
    words = given(httpclient, "text", TEXT, "BYTES", binary_data=False)
    answer = http.infer("text", [words], outputs=[httpclient.InferRequestedOutput("answer", binary_data=False)])
    assert list(answer.as_numpy("answer")) == list(TEXT), answer.as_numpy("answer")


def http_compression():
    tensor = given(httpclient, "x", X, "FP32")
    for coding in ("gzip", "deflate"):
        answer = http.infer("affine", [tensor], request_compression_algorithm=coding, response_compression_algorithm=coding)
        np.testing.assert_array_equal(answer.as_numpy("y"), Y)


def http_bodies():
    body, length = httpclient.InferenceServerClient.generate_request_body([given(httpclient, "x", X, "FP32")])
    assert length is not None and len(body) > length
    answer = http.infer("affine", [given(httpclient, "x", X, "FP32")], query_params={"a": "b"}, headers={"X-Test": "1"})
    np.testing.assert_array_equal(answer.as_numpy("y"), Y)


def grpc_async():
    answers = queue.Queue()
    for _ in range(8):
        grpc.async_infer("affine", [given(grpcclient, "x", X, "FP32")], callback=lambda result, error: answers.put((result, error)))
    for _ in range(8):
        result, error = answers.get(timeout=20)
        assert error is None, error
        np.testing.assert_array_equal(result.as_numpy("y"), Y)


def grpc_stream():
    answers = queue.Queue()
    grpc.start_stream(callback=lambda result, error: answers.put((result, error)))
    try:
        for at in range(4):
            grpc.async_stream_infer("affine", [given(grpcclient, "x", X + at, "FP32")], request_id=str(at))
        grpc.async_stream_infer("none", [given(grpcclient, "x", X, "FP32")], request_id="bad")
        seen = {}
        failures = []
        for _ in range(5):
            result, error = answers.get(timeout=20)
            if error is None:
                seen[result.get_response().id] = result.as_numpy("y")
            else:
                failures.append(error.message())
    finally:
        grpc.stop_stream()
    for at in range(4):
        np.testing.assert_array_equal(seen[str(at)], (X + at) * 2 + 1)
    assert len(failures) == 1 and "none" in failures[0], failures


def grpc_contents():
    request = messages.ModelInferRequest(model_name="affine")
    tensor = request.inputs.add(name="x", datatype="FP32", shape=[1, 4])
    tensor.contents.fp32_contents[:] = [1, 2, 3, 4]
    answer = grpc._client_stub.ModelInfer(request)
    np.testing.assert_array_equal(np.frombuffer(answer.raw_output_contents[0], np.float32), Y[0])
    request.raw_input_contents.append(X.tobytes())
    try:
        grpc._client_stub.ModelInfer(request)
    except Exception as failure:
        assert "contents field must not be specified when using raw_input_contents" in failure.details(), failure.details()
    else:
        raise AssertionError("both forms were taken")


def grpc_deadline():
    try:
        grpc.infer("slow", [given(grpcclient, "x", X, "FP32")], client_timeout=0.05)
    except InferenceServerException as failure:
        # Whoever is first: the client, or the server.
        assert "DEADLINE_EXCEEDED" in failure.status(), failure
    else:
        raise AssertionError("no deadline")


def grpc_compression():
    for coding in ("gzip", "deflate"):
        answer = grpc.infer("affine", [given(grpcclient, "x", X, "FP32")], compression_algorithm=coding)
        np.testing.assert_array_equal(answer.as_numpy("y"), Y)


def reflection():
    """What tools without a .proto do: the service is found, and a call made from what is told of it."""
    import grpc as transport
    from google.protobuf.descriptor_pool import DescriptorPool
    from google.protobuf.message_factory import GetMessageClass
    from grpc_health.v1 import health_pb2, health_pb2_grpc
    from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

    with transport.insecure_channel(grpc_address) as channel:
        database = ProtoReflectionDescriptorDatabase(channel)
        assert "inference.GRPCInferenceService" in database.get_services(), database.get_services()
        method = DescriptorPool(database).FindServiceByName("inference.GRPCInferenceService").FindMethodByName("ModelMetadata")
        asked, answered = GetMessageClass(method.input_type), GetMessageClass(method.output_type)
        call = channel.unary_unary(
            "/inference.GRPCInferenceService/ModelMetadata", request_serializer=asked.SerializeToString, response_deserializer=answered.FromString
        )
        assert call(asked(name="affine")).inputs[0].datatype == "FP32"
        status = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=""))
        assert status.status == health_pb2.HealthCheckResponse.SERVING, status


for check in (http_async, http_json, http_compression, http_bodies, grpc_async, grpc_stream, grpc_contents, grpc_deadline, grpc_compression, reflection):
    case(check.__name__.replace("_", " "), check)

http.close()
grpc.close()
print(json.dumps(results))

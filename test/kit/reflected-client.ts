import { Client, credentials } from '@grpc/grpc-js';
import { loadFileDescriptorSetFromBuffer, type PackageDefinition } from '@grpc/proto-loader';
import { REFLECTION, REFLECTION_CALL } from '#shared/protobuf/standard/reflection-proto.js';
import { GrpcTestClient } from './grpc-client.js';

/** A client of @grpc/grpc-js that has no .proto: what it sends and reads is made by protobufjs from what the server tells of itself. */
export class ReflectedClient {
  readonly #client: Client;
  readonly #declared: PackageDefinition;

  private constructor(client: Client, declared: PackageDefinition) {
    this.#client = client;
    this.#declared = declared;
  }

  static async connect(address: string, services: readonly string[]): Promise<ReflectedClient> {
    const asking = new GrpcTestClient(address);
    const [{ rpc, service } = never()] = REFLECTION;
    const requests = services.map((name) => ({ file_containing_symbol: name }));
    const { answers } = await asking.stream(`/${service.name}/${REFLECTION_CALL}`, rpc, requests);
    asking.close();
    const files = answers.flatMap(({ file_descriptor_response: found }) => found?.file_descriptor_proto ?? []);
    // A file that several services need comes with each.
    const distinct = new Map(files.map((bytes) => [Buffer.from(bytes).toString('base64'), bytes]));
    const set = Buffer.concat([...distinct.values()].flatMap((bytes) => [Buffer.from([10, ...varint(bytes.byteLength)]), bytes]));
    const declared = loadFileDescriptorSetFromBuffer(set, { keepCase: true, longs: Number, enums: String, defaults: true });
    return new ReflectedClient(new Client(address, credentials.createInsecure()), declared);
  }

  close(): void {
    this.#client.close();
  }

  /** Messages are as protobufjs has them. */
  call(service: string, name: string, request: object): Promise<unknown> {
    const definition = this.#declared[service];
    const method = definition !== undefined && !('format' in definition) ? definition[name] : undefined;
    if (method === undefined) throw new Error(`no ${service}/${name} is declared`);
    return new Promise((resolve, reject) => {
      const { path, requestSerialize, responseDeserialize } = method;
      this.#client.makeUnaryRequest(path, requestSerialize, responseDeserialize, request, (error, answer) => {
        if (error === null) resolve(answer);
        else reject(error);
      });
    });
  }
}

function varint(value: number): readonly number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...varint(value >>> 7)];
}

function never(): never {
  throw new Error('there is a version of reflection');
}

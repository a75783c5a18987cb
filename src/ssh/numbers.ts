/**
 * The message numbers and reason codes of RFC 4250, with OpenSSH's two additions (PROTOCOL, section 1.9).
 *
 * @module
 */

export const message = {
  disconnect: 1,
  ignore: 2,
  unimplemented: 3,
  debug: 4,
  serviceRequest: 5,
  serviceAccept: 6,
  extInfo: 7,
  kexInit: 20,
  newKeys: 21,
  kexInitiate: 30,
  kexReply: 31,
  userauthRequest: 50,
  userauthFailure: 51,
  userauthSuccess: 52,
  userauthBanner: 53,
  userauthPkOk: 60,
  globalRequest: 80,
  requestSuccess: 81,
  requestFailure: 82,
  channelOpen: 90,
  channelOpenConfirmation: 91,
  channelOpenFailure: 92,
  channelWindowAdjust: 93,
  channelData: 94,
  channelExtendedData: 95,
  channelEof: 96,
  channelClose: 97,
  channelRequest: 98,
  channelSuccess: 99,
  channelFailure: 100,
  ping: 192,
  pong: 193,
} as const;

/** RFC 4253 section 11.1. */
export const disconnectReason = {
  protocolError: 2,
  keyExchangeFailed: 3,
  macError: 5,
  serviceNotAvailable: 7,
  hostKeyNotVerifiable: 9,
  byApplication: 11,
  tooManyConnections: 12,
  noMoreAuthMethods: 14,
} as const;

/** RFC 4254 section 5.1. */
export const openFailure = { prohibited: 1, connectFailed: 2, unknownType: 3, resourceShortage: 4 } as const;

/** Says whether a message is of the authentication or the connection protocol (RFC 4250 section 4.1.2). */
export function isForHandler(number: number): boolean {
  return number >= message.userauthRequest && number < 128;
}

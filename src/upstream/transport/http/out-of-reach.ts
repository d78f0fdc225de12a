/** A sentence about how to fix a failed connection. `code`: of the system, of OpenSSL, or none. */
export function reachHint(code: string | undefined): string {
  switch (code) {
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return 'Its host name is unknown here. Check its "url" for a slip, and the name service of this machine.'
    case 'ERR_SSL_WRONG_VERSION_NUMBER':
    case 'ERR_SSL_PACKET_LENGTH_TOO_LONG':
      return 'There is no TLS at this port. Write "http://" in its "url", or correct the port.'
    default:
      return 'Check that it runs and that its "url" is right.'
  }
}

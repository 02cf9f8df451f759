// A provider of OpenID Connect on loopback: node provider.mjs PORT AUDIENCE OTHER
//
// Everybody can log in under any name. The ID token of user NAME has the claim "groups" with
// "ci" in it for names that begin with "job". AUDIENCE is the client whose ID tokens are signed
// by RS256, OTHER is one that signs by ES256.

import { generateKeyPairSync } from 'node:crypto';

import { Provider } from 'oidc-provider';

const [port, audience, other] = process.argv.slice(2);

function makeKey(type, options, extra) {
  const { privateKey } = generateKeyPairSync(type, options);
  return { ...privateKey.export({ format: 'jwk' }), use: 'sig', ...extra };
}

function makeClient(id, algorithm) {
  return {
    client_id: id,
    client_secret: 'the secret of the tests',
    redirect_uris: ['https://client.example.com/back'],
    id_token_signed_response_alg: algorithm,
  };
}

const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [makeClient(audience, 'RS256'), makeClient(other, 'ES256')],
  jwks: {
    keys: [
      makeKey('rsa', { modulusLength: 2048 }, { alg: 'RS256', kid: 'rsa' }),
      makeKey('ec', { namedCurve: 'P-256' }, { alg: 'ES256', kid: 'ec' }),
    ],
  },
  cookies: { keys: ['the secret of the tests'] },
  claims: { openid: ['sub'], groups: ['groups'] },
  conformIdTokenClaims: false,
  findAccount: (context, sub) => ({
    accountId: sub,
    claims: () => ({ sub, groups: sub.startsWith('job') ? ['ci'] : [] }),
  }),
});

provider.listen(Number(port), '127.0.0.1');

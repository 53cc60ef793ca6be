// fhir-kit-client 2: finds out where to sign in; the application does the rest of OAuth itself, here with the code flow and PKCE.
import { createHash, randomBytes } from 'node:crypto';
import { Client } from 'fhir-kit-client';
import { assert, batch, check, facts, given, mrn, newcomer, offered, signIn, sorted, together } from './walk.mjs';

async function signedIn(user, password) {
  const client = new Client({ baseUrl: given.base });
  // Asks three addresses at once and takes whichever answers first.
  const { authorizeUrl, tokenUrl } = await client.smartAuthMetadata();
  const verifier = randomBytes(48).toString('base64url');
  const asked = {
    response_type: 'code', client_id: given.app, redirect_uri: given.redirect, scope: 'openid', state: 's', aud: given.base,
    code_challenge: createHash('sha256').update(verifier).digest('base64url'), code_challenge_method: 'S256',
  };
  const back = new URL(signIn(`${authorizeUrl}?${new URLSearchParams(asked)}`, user, password));
  const form = {
    grant_type: 'authorization_code', client_id: given.app, redirect_uri: given.redirect, code: back.searchParams.get('code'), code_verifier: verifier,
  };
  const answer = await fetch(tokenUrl, { method: 'POST', body: new URLSearchParams(form) });
  client.bearerToken = (await answer.json()).access_token;
  return client;
}

const client = await signedIn(given.user, given.password);
const promises = offered(await client.capabilityStatement());
const ids = (bundle) => (bundle.entry ?? []).map((e) => e.resource.id);
const status = (code) => (fault) => (fault.response?.status ?? fault.status) === code;

async function all(page) {
  const found = [];
  let pages = 0;
  for (; page; page = await client.nextPage({ bundle: page })) {
    found.push(...ids(page));
    pages += 1;
  }
  return { found, pages };
}

await check('finds out where to sign in, at each of the places it asks', async () => {
  const places = ['.well-known/smart-configuration', 'metadata'];
  for (const place of places) {
    const answer = await fetch(`${given.base}/${place}`, { headers: { accept: 'application/fhir+json,application/json' } });
    assert.equal(answer.status, 200, place);
    assert.ok(JSON.stringify(await answer.json()).includes(`${given.issuer}/protocol/openid-connect/auth`), place);
  }
});
await check('reads', async () => {
  const found = await client.read({ resourceType: 'Patient', id: facts.patient.id });
  assert.equal(found.name[0].family, facts.patient.family_name);
});
await check('tells what is missing', async () => {
  await assert.rejects(client.read({ resourceType: 'Patient', id: '999999' }), status(404));
});
await check('searches by address and by form', async () => {
  for (const { type, params, ids: wanted } of facts.searches) {
    for (const postSearch of [false, true]) {
      const page = await client.search({ resourceType: type, searchParams: { ...params, _count: 1000 }, options: { postSearch } });
      assert.deepEqual(sorted(ids(page)), wanted, `${JSON.stringify(params)} ${postSearch}`);
    }
  }
});
await check('pages through everything, also what a form began', async () => {
  for (const [type, count] of Object.entries(facts.counts)) {
    for (const postSearch of [false, true]) {
      const { found, pages } = await all(await client.search({ resourceType: type, searchParams: { _count: 10 }, options: { postSearch } }));
      assert.deepEqual([found.length, new Set(found).size, pages], [count, count, Math.max(1, Math.ceil(count / 10))]);
    }
  }
});
await check('resolves references', async () => {
  const page = await client.search({ resourceType: 'Observation', searchParams: { patient: facts.patient.id, _count: 1 } });
  const observation = page.entry[0].resource;
  const patient = await client.resolve({ reference: observation.subject.reference });
  assert.equal(patient.id, facts.patient.id);
  assert.equal((await client.resolve({ reference: page.entry[0].fullUrl })).id, observation.id);
});
await promises.when(promises.type('Patient', 'vread'), 'reads a version, and nothing when it has it', async () => {
  const version = facts.patient.version;
  const found = await client.vread({ resourceType: 'Patient', id: facts.patient.id, version });
  assert.equal(found.meta.versionId, version);
  const { response } = Client.httpFor(await client.read({ resourceType: 'Patient', id: facts.patient.id }));
  assert.equal(response.headers.get('etag'), `W/"${version}"`);
  await assert.rejects(client.vread({ resourceType: 'Patient', id: facts.patient.id, version: '99' }), status(404));
});
await promises.when(promises.includes('Observation', 'Observation:subject'), 'includes', async () => {
  const page = await client.search({ resourceType: 'Observation', searchParams: { patient: facts.patient.id, _include: 'Observation:subject' } });
  const modes = page.entry.map((e) => `${e.resource.resourceType} ${e.search.mode}`);
  assert.equal(modes.filter((m) => m === 'Patient include').length, 1, modes.join());
});
const writes = promises.type('Patient', 'create') && promises.type('Patient', 'update');
await promises.when(writes, 'creates, updates, patches and deletes', async () => {
  const writer = await signedIn(given.writer, given.writer_password);
  const made = await writer.create({ resourceType: 'Patient', body: newcomer() });
  const { response } = Client.httpFor(made);
  assert.equal(response.status, 201);
  assert.ok(response.headers.get('location').startsWith(`${given.base}/Patient/${made.id}`), response.headers.get('location'));
  made.name[0].family = 'Client-Renamed';
  const updated = await writer.update({ resourceType: 'Patient', id: made.id, body: made });
  assert.equal(updated.name[0].family, 'Client-Renamed');
  if (updated.meta?.versionId) {
    const options = { headers: { 'If-Match': 'W/"999"' } };
    await assert.rejects(writer.update({ resourceType: 'Patient', id: made.id, body: updated, options }), status(412));
  }
  if (promises.type('Patient', 'patch')) {
    const patched = await writer.patch({ resourceType: 'Patient', id: made.id, jsonPatch: [{ op: 'replace', path: '/gender', value: 'male' }] });
    assert.equal((patched?.gender ? patched : await writer.read({ resourceType: 'Patient', id: made.id })).gender, 'male');
  }
  if (promises.type('Patient', 'delete')) {
    await writer.delete({ resourceType: 'Patient', id: made.id });
    await assert.rejects(writer.read({ resourceType: 'Patient', id: made.id }), (f) => status(404)(f) || status(410)(f));
  }
});
await promises.when(promises.type('Patient', 'create'), 'creates once with a condition', async () => {
  const writer = await signedIn(given.writer, given.writer_password);
  const body = newcomer();
  const options = { headers: { 'If-None-Exist': `identifier=${encodeURIComponent(`${mrn}|${body.identifier[0].value}`)}` } };
  for (let n = 0; n < 2; n += 1) await writer.create({ resourceType: 'Patient', body, options });
  const found = await writer.search({ resourceType: 'Patient', searchParams: { identifier: `${mrn}|${body.identifier[0].value}` } });
  assert.equal(ids(found).length, 1);
});
await promises.when(promises.system('batch'), 'sends a batch, to the base with a slash', async () => {
  const answer = await client.batch({ body: batch() });
  assert.deepEqual(answer.entry.map((e) => e.response.status.slice(0, 3)), ['200', '404', '200']);
});
await promises.when(promises.system('transaction') && promises.type('Observation', 'create'), 'sends a transaction', async () => {
  const writer = await signedIn(given.writer, given.writer_password);
  const answer = await writer.transaction({ body: together().bundle });
  const [patient, observation] = answer.entry.map((e) => e.response.location.replace(`${given.base}/`, '').split('/').slice(0, 2));
  const found = await writer.read({ resourceType: observation[0], id: observation[1] });
  assert.equal(found.subject.reference, patient.join('/'));
});

// fhirclient-js 2.6: SMART sign-in as a server-side application, then requests with paging and references resolved.
import smart from 'fhirclient';
import { assert, batch, check, facts, given, newcomer, offered, signIn, sorted } from './walk.mjs';

// What the library keeps between the two addresses of an application: where it begins and where people come back to.
function application() {
  const kept = new Map();
  const storage = {
    get: async (key) => kept.get(key), set: async (key, value) => (kept.set(key, value), value), unset: async (key) => kept.delete(key),
  };
  const at = (url) => {
    const { host, pathname, search } = new URL(url);
    const request = { url: pathname + search, headers: { host }, socket: {} };
    const response = { writeHead: (_status, headers) => (response.location = headers.location), end() {} };
    return { api: smart(request, response, storage), response };
  };
  return { at };
}

async function signedIn(user, password, scope) {
  const app = application();
  const begin = app.at('http://127.0.0.1/launch');
  await begin.api.authorize({ iss: given.base, clientId: given.app, scope, redirectUri: given.redirect });
  const address = new URL(begin.response.location);
  assert.ok(address.href.startsWith(given.issuer), address.href);
  // Only where the well-known document says that the issuer can: the discovery document must have been taken.
  assert.equal(address.searchParams.get('code_challenge_method'), 'S256');
  const back = app.at(signIn(address.href, user, password));
  return back.api.ready();
}

const client = await signedIn(given.user, given.password, 'openid profile');
const statement = await client.request('metadata');
const promises = offered(statement);
const flat = { flat: true, pageLimit: 0 };
const query = (params) => new URLSearchParams(params).toString();

if (given.writer) {
  await check('signs in with SMART scopes', async () => {
    const scoped = await signedIn(given.user, given.password, 'openid user/*.rs');
    assert.equal((await scoped.request(`Patient/${facts.patient.id}`)).id, facts.patient.id);
  });
  await check('renews its token', async () => {
    // The library renews only what was asked for with this scope.
    const lasting = await signedIn(given.user, given.password, 'openid offline_access');
    const before = lasting.state.tokenResponse.access_token;
    lasting.environment.options.refreshTokenWithClientId = true; // a client without a secret has to say who it is
    await lasting.refresh();
    assert.notEqual(lasting.state.tokenResponse.access_token, before);
    assert.equal((await lasting.request(`Patient/${facts.patient.id}`)).id, facts.patient.id);
  });
}
await check('reads', async () => {
  const found = await client.request(`Patient/${facts.patient.id}`);
  assert.equal(found.name[0].family, facts.patient.family_name);
  assert.equal(found.birthDate, facts.patient.birth_date);
});
await check('tells what is missing', async () => {
  await assert.rejects(client.request('Patient/999999'), (fault) => fault.status === 404 || fault.statusCode === 404);
});
await check('searches', async () => {
  for (const { type, params, ids } of facts.searches) {
    const found = await client.request(`${type}?${query(params)}`, flat);
    assert.deepEqual(sorted(found.map((r) => r.id)), ids, query(params));
  }
});
await check('searches by a form', async () => {
  for (const { type, params, ids } of facts.searches) {
    const form = { method: 'POST', body: query({ ...params, _count: 1000 }), headers: { 'content-type': 'application/x-www-form-urlencoded' } };
    const found = await client.request({ url: `${type}/_search`, ...form }, { flat: true });
    assert.deepEqual(sorted(found.map((r) => r.id)), ids, query(params));
  }
});
await check('pages through everything', async () => {
  for (const [type, count] of Object.entries(facts.counts)) {
    let pages = 0;
    const found = await client.request(`${type}?_count=10`, { ...flat, onPage: undefined });
    const ids = new Set(found.map((r) => r.id));
    await client.request(`${type}?_count=10`, { pageLimit: 0, onPage: () => void (pages += 1) });
    assert.deepEqual([found.length, ids.size, pages], [count, count, Math.max(1, Math.ceil(count / 10))]);
  }
});
await check('resolves references', async () => {
  const observations = await client.request(`Observation?patient=${facts.patient.id}&_count=5`, { flat: true, resolveReferences: ['subject'] });
  assert.ok(observations.length > 0);
  for (const each of observations) assert.equal(each.subject.id ?? each.subject.reference.split('/')[1], facts.patient.id);
});
await check('finds the parameter of a patient in the statement', async () => {
  const names = statement.rest[0].resource.find((r) => r.type === 'Observation').searchParam.map((p) => p.name);
  assert.ok(names.includes('patient') && names.includes('subject'), names.join());
});
await check('takes what it has when nothing changed', async () => {
  const { response } = await client.request({ url: `Patient/${facts.patient.id}`, includeResponse: true });
  const tag = response.headers.get('etag');
  if (!facts.patient.version) return assert.equal(tag, null);
  assert.equal(tag, `W/"${facts.patient.version}"`);
  const old = await client.request(`Patient/${facts.patient.id}/_history/${facts.patient.version}`);
  assert.equal(old.meta.versionId, facts.patient.version);
});
await promises.when(promises.includes('Observation', 'Observation:subject'), 'includes', async () => {
  const found = await client.request(`Observation?patient=${facts.patient.id}&_include=Observation:subject`, flat);
  assert.equal(found.filter((r) => r.resourceType === 'Patient').length, 1);
});
const writes = promises.type('Patient', 'create') && promises.type('Patient', 'update');
await promises.when(writes, 'creates, updates and deletes', async () => {
  const writer = await signedIn(given.writer, given.writer_password, 'openid profile');
  const made = await writer.create(newcomer());
  assert.ok(made.id);
  made.name[0].family = 'Client-Renamed';
  assert.equal((await writer.update(made)).name[0].family, 'Client-Renamed');
  if (promises.type('Patient', 'patch')) {
    // With `Prefer: return=presentation`, which is no such preference and has to be ignored.
    const patched = await writer.patch(`Patient/${made.id}`, [{ op: 'replace', path: '/gender', value: 'male' }]);
    assert.equal((patched ?? (await writer.request(`Patient/${made.id}`))).gender, 'male');
  }
  if (promises.type('Patient', 'delete')) {
    await writer.delete(`Patient/${made.id}`);
    await assert.rejects(writer.request(`Patient/${made.id}`), (f) => [404, 410].includes(f.status ?? f.statusCode));
  }
});
await promises.when(promises.type('Patient', 'create'), 'follows the address of what it made', async () => {
  const writer = await signedIn(given.writer, given.writer_password, 'openid profile');
  const made = await writer.create(newcomer(), { headers: { prefer: 'return=minimal' } });
  assert.equal(made.resourceType, 'Patient');
});
await promises.when(promises.system('batch'), 'sends a batch', async () => {
  const answer = await client.request({ url: '/', method: 'POST', body: JSON.stringify(batch()), headers: { 'content-type': 'application/fhir+json' } });
  assert.deepEqual(answer.entry.map((e) => e.response.status.slice(0, 3)), ['200', '404', '200']);
});

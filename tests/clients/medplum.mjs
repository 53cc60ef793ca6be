// @medplum/core 5: takes only the query of a next link and asks for `_count=1000`; sends batches to the base without a slash.
import { createHash, randomBytes } from 'node:crypto';
import { ClientStorage, MedplumClient, MemoryStorage } from '@medplum/core';
import { assert, batch, check, facts, given, mrn, newcomer, offered, signIn, sorted, together } from './walk.mjs';

const base = new URL(given.base);

async function application(storage = new MemoryStorage()) {
  const well = await (await fetch(`${given.base}/.well-known/smart-configuration`)).json();
  return new MedplumClient({
    baseUrl: `${base.origin}/`, fhirUrlPath: base.pathname.slice(1), authorizeUrl: well.authorization_endpoint, tokenUrl: well.token_endpoint,
    clientId: given.writer && given.app, storage: new ClientStorage(storage), cacheTime: 0, fetch,
    // Its own five minutes are as long as a token of the realm lives: it would renew before every request.
    refreshGracePeriod: 30_000,
  });
}

// The library redeems the code and renews by itself; in a browser it would also have made the challenge and sent the person
// away. It wants to find its OAuth client in the token's `cid` or `client_id`; the latter names the hospital here.
async function signedIn(user, password) {
  const storage = new MemoryStorage();
  const client = await application(storage);
  if (!given.writer) {
    // The demo's issuer puts no `cid` into its tokens.
    const form = { grant_type: 'password', client_id: given.app, username: user, password };
    const answer = await fetch(client.getTokenUrl(), { method: 'POST', body: new URLSearchParams(form) });
    client.setAccessToken((await answer.json()).access_token);
    return client;
  }
  const verifier = randomBytes(48).toString('base64url');
  new ClientStorage(storage).setString('codeVerifier', verifier);
  const asked = {
    response_type: 'code', client_id: given.app, redirect_uri: given.redirect, scope: 'openid', state: 's',
    code_challenge: createHash('sha256').update(verifier).digest('base64url'), code_challenge_method: 'S256',
  };
  const back = new URL(signIn(`${client.getAuthorizeUrl()}?${new URLSearchParams(asked)}`, user, password));
  await client.processCode(back.searchParams.get('code'), { redirectUri: given.redirect });
  return client;
}

const client = await signedIn(given.user, given.password);
const promises = offered(await client.get(client.fhirUrl('metadata')));
const status = (...codes) => (fault) => codes.includes(fault.outcome?.issue?.[0]?.code);

if (given.writer) {
  await check('renews its token', async () => {
    const before = client.getAccessToken();
    await client.refreshIfExpired(3_600_000);
    assert.notEqual(client.getAccessToken(), before);
    assert.equal((await client.readResource('Patient', facts.patient.id)).id, facts.patient.id);
  });
}
if (given.machine) {
  await check('signs in as a machine', async () => {
    const machine = await application();
    await machine.startClientLogin(given.machine, given.machine_secret);
    assert.equal((await machine.readResource('Patient', facts.patient.id)).id, facts.patient.id);
  });
}
await check('reads', async () => {
  const found = await client.readResource('Patient', facts.patient.id);
  assert.equal(found.name[0].family, facts.patient.family_name);
  assert.equal((await client.readReference({ reference: `Patient/${facts.patient.id}` })).birthDate, facts.patient.birth_date);
});
await check('tells what is missing', async () => {
  await assert.rejects(client.readResource('Patient', '999999'), (fault) => fault.outcome?.issue?.[0]?.code === 'not-found');
});
await check('searches', async () => {
  for (const { type, params, ids } of facts.searches) {
    const found = await client.searchResources(type, { ...params, _count: 1000 });
    assert.deepEqual(sorted(found.map((r) => r.id)), ids, JSON.stringify(params));
  }
});
await check('pages through everything, in pages of ten and of its own size', async () => {
  for (const [type, count] of Object.entries(facts.counts)) {
    for (const query of ['_count=10', '']) {
      const found = [];
      let pages = 0;
      for await (const page of client.searchResourcePages(type, query)) {
        found.push(...page.map((r) => r.id));
        pages += 1;
      }
      const wanted = query ? Math.max(1, Math.ceil(count / 10)) : 1;
      assert.deepEqual([found.length, new Set(found).size, pages], [count, count, wanted], `${type} ${query}`);
    }
  }
});
await check('counts', async () => {
  for (const [type, count] of Object.entries(facts.counts)) {
    assert.equal((await client.search(type, '_summary=count')).total, count);
    assert.equal((await client.search(type, '_count=1&_total=accurate')).total, count);
  }
});
await promises.when(promises.type('Patient', 'vread'), 'reads a version', async () => {
  const found = await client.readVersion('Patient', facts.patient.id, facts.patient.version);
  assert.equal(found.meta.versionId, facts.patient.version);
});
await promises.when(promises.includes('Observation', 'Observation:subject'), 'includes', async () => {
  const page = await client.search('Observation', `patient=${facts.patient.id}&_include=Observation:subject`);
  assert.equal(page.entry.filter((e) => e.search.mode === 'include').length, 1);
});
await promises.when(promises.operation('Patient', 'everything'), 'asks for everything', async () => {
  const found = await client.readPatientEverything(facts.patient.id);
  assert.ok(found.entry.length > 1);
});
const writes = promises.type('Patient', 'create') && promises.type('Patient', 'update');
await promises.when(writes, 'creates, updates, patches and deletes', async () => {
  const writer = await signedIn(given.writer, given.writer_password);
  const made = await writer.createResource(newcomer());
  assert.ok(made.id);
  made.name[0].family = 'Client-Renamed';
  assert.equal((await writer.updateResource(made)).name[0].family, 'Client-Renamed');
  if (promises.type('Patient', 'patch')) {
    const patched = await writer.patchResource('Patient', made.id, [{ op: 'replace', path: '/gender', value: 'male' }]);
    assert.equal(patched.gender, 'male');
  }
  if (promises.type('Patient', 'delete')) {
    await writer.deleteResource('Patient', made.id);
    await assert.rejects(writer.readResource('Patient', made.id), status('not-found', 'deleted'));
  }
});
await promises.when(promises.type('Patient', 'create'), 'creates once with a condition', async () => {
  const writer = await signedIn(given.writer, given.writer_password);
  const body = newcomer();
  const condition = `identifier=${encodeURIComponent(`${mrn}|${body.identifier[0].value}`)}`;
  const [one, two] = [await writer.createResourceIfNoneExist(body, condition), await writer.createResourceIfNoneExist(body, condition)];
  assert.equal(one.id, two.id);
});
await promises.when(promises.system('batch'), 'sends a batch, to the base without a slash', async () => {
  const answer = await client.executeBatch(batch());
  assert.deepEqual(answer.entry.map((e) => e.response.status.slice(0, 3)), ['200', '404', '200']);
});
await promises.when(promises.system('transaction') && promises.type('Observation', 'create'), 'sends a transaction', async () => {
  const writer = await signedIn(given.writer, given.writer_password);
  const { bundle, patient } = together();
  const answer = await writer.executeBatch(bundle);
  assert.equal(answer.type, 'transaction-response');
  const found = await writer.searchResources('Observation', `patient:Patient.identifier=${mrn}|${patient.identifier[0].value}`).catch(() => null);
  if (found) assert.equal(found.length, 1);
});

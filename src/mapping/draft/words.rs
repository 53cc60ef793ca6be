//! Names of tables and columns as words, and the vocabulary they are looked up in: English, Spanish,
//! Portuguese, German and French, as hospitals write them.

use crate::mapping::fold::fold;

/// A name taken apart: lower case, no accents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Words {
    pub tokens: Vec<String>,
    /// The whole without separators, for names that have none.
    pub whole: String,
}

impl Words {
    /// `FEC_NAC`, `fechaNac` and `fec nac` have the same words.
    pub fn of(name: &str) -> Self {
        let mut tokens: Vec<String> = Vec::new();
        let mut current = String::new();
        let mut before = ' ';
        for c in name.chars() {
            let edge = (before.is_lowercase() && c.is_uppercase())
                || (before.is_numeric() != c.is_numeric() && before != ' ');
            if !c.is_alphanumeric() || edge {
                if !current.is_empty() {
                    tokens.push(fold(&current));
                }
                current.clear();
            }
            if c.is_alphanumeric() {
                current.push(c);
            }
            before = if c.is_alphanumeric() { c } else { ' ' };
        }
        if !current.is_empty() {
            tokens.push(fold(&current));
        }
        let whole = tokens.concat();
        Self { tokens, whole }
    }

    /// Whether one alternative of a rule holds. Alternatives are separated by blanks; `a+b` wants both
    /// words, `-c` in it forbids one, `nac*` is the beginning of a word, `=last` is the whole name.
    pub fn are(&self, rule: &str) -> bool {
        rule.split_ascii_whitespace().any(|alternative| {
            if let Some(whole) = alternative.strip_prefix('=') {
                return same(&self.whole, whole);
            }
            alternative.split('+').all(|part| match part.strip_prefix('-') {
                Some(other) => !self.has(other),
                None => self.has(part),
            }) || (!alternative.contains(['-', '*'])
                && same(&self.whole, &alternative.replace('+', "")))
        })
    }

    fn has(&self, part: &str) -> bool {
        match part.strip_suffix('*') {
            Some(head) => self.tokens.iter().any(|t| t.starts_with(head)),
            None => self.tokens.iter().any(|t| same(t, part)),
        }
    }

    /// What a table's name says it holds: [`meaning`](Self::meaning) without words that are said of any table.
    pub fn subject(&self) -> Vec<&str> {
        let meaning = self.meaning();
        let telling: Vec<&str> =
            meaning.iter().copied().filter(|t| !TABLE_WORDS.contains(t)).collect();
        if telling.is_empty() { meaning } else { telling }
    }

    /// The words that say what is meant, without those that only say it is a key.
    pub fn meaning(&self) -> Vec<&str> {
        let tokens = self.tokens.iter().map(String::as_str);
        tokens
            .filter(|t| !KEY_WORDS.contains(t) && !t.bytes().all(|b| b.is_ascii_digit()))
            .collect()
    }
}

/// Words that make a name a key's.
const KEY_WORDS: [&str; 22] = [
    "id", "ids", "no", "nr", "num", "nro", "number", "numero", "key", "fk", "pk", "cod", "code",
    "codigo", "uuid", "guid", "ref", "de", "do", "da", "del", "tbl",
];

/// Words of a table's name that say nothing of what it holds.
const TABLE_WORDS: [&str; 16] = [
    "tab",
    "tb",
    "t",
    "data",
    "dato",
    "datos",
    "dados",
    "daten",
    "info",
    "master",
    "main",
    "mst",
    "stamm",
    "stammdaten",
    "demographic",
    "demographics",
];

/// Whether a word is another, in the singular or plural.
pub(super) fn same(token: &str, word: &str) -> bool {
    if token == word {
        return true;
    }
    let Some(rest) = token.strip_prefix(word) else {
        // condiciones/condicion is covered by the ending; diagnoses/diagnosis and ies/y are not.
        let ies =
            token.strip_suffix("ies").zip(word.strip_suffix('y')).is_some_and(|(a, b)| a == b);
        let es = token.strip_suffix("es").zip(word.strip_suffix("is")).is_some_and(|(a, b)| a == b);
        let oes =
            token.strip_suffix("oes").zip(word.strip_suffix("ao")).is_some_and(|(a, b)| a == b);
        return ies || es || oes;
    };
    word.len() > 2 && matches!(rest, "s" | "es" | "en" | "n" | "e")
}

/// What a table of that name holds, the more telling first.
pub(super) const TYPES: [(&str, &str); 18] = [
    ("Appointment", "appointment cita turno agendamento termin rendezvous rendez+vous rdv booking"),
    (
        "Immunization",
        "immunization immunisation vaccine vaccination vacuna vacunacion vacina vacinacao impfung vaccin prevention",
    ),
    ("AllergyIntolerance", "allergy alergia allergie intolerance intolerancia"),
    (
        "MedicationRequest",
        "prescription prescripcion receta receita prescricao ordonnance rezept verordnung medication+request medication+order drug+order medicacion",
    ),
    (
        "MedicationStatement",
        "medication medicamento medikament medikation drug+exposure medicament medicacao",
    ),
    ("DiagnosticReport", "report informe laudo befundbericht diagnostic+report"),
    ("CarePlan", "careplan care+plan plan+cuidado behandlungsplan"),
    ("ImagingStudy", "imaging+study imaging estudio+imagen bildgebung"),
    (
        "Condition",
        "condition diagnosis diagnostico diagnose problem problema diagnostic dx dxresearch disease+-family enfermedad+-familia \
         doenca maladie krankheit pathology patologia",
    ),
    (
        "Procedure",
        "procedure procedimiento procedimento operation operacion cirugia intervencion intervention acte eingriff prozedur surgery",
    ),
    (
        "Observation",
        "observation obs measurement medicion medicao mesure messung messwert vital signo sinal lab laboratorio labor laborwert result resultado resultat examen exame analisis laboratory vitalwert vitalparameter",
    ),
    ("Specimen", "specimen muestra amostra prelevement echantillon"),
    (
        "Encounter",
        "encounter visit visita admission ingreso internacion internacao atencion atendimento consulta consultation sejour hospitalisation hospitalization aufenthalt aufnahme besuch fall episode episodio opd stay urgencia hospitalizacion",
    ),
    (
        "Practitioner",
        "practitioner provider doctor medico arzt aerzte arzte medecin physician clinician professional healthprofessional profesional profissional staff nurse enfermera soignant",
    ),
    (
        "Organization",
        "organization organisation organizacion hospital clinic clinica institution institucion instituicao krankenhaus care+site establecimiento etablissement department departamento abteilung",
    ),
    (
        "Location",
        "location ward sala pabellon station room bett bed standort leito building edificio cama habitacion",
    ),
    ("Device", "device+-exposure dispositivo gerat geraet dispositif"),
    ("Patient", "patient paciente malade kranker pat cidadao"),
];

/// A table of people, who are patients when nothing else says who is.
pub(super) const PEOPLE: &str =
    "person persona pessoa personne individual demographics demographic party people";

/// Words that make a table something that hangs off what its other words say.
pub(super) const ATTACHED: &str = "identifier name nombre address direccion attribute attr type tipo map mapping status history log hist historico audit \
    set tag role rol group class category source reference member program state era period cost answer list archive queue error \
    block schedule hierarchy relationship link detail item line exposure+device user permission config setting param template \
    xml design property suggestion tmp temp bak backup old lookup dictionary catalogo catalog contact contacto contato telefono";

/// Types whose resources are of a patient; a table no way leads from to a patient is none of these.
pub(super) const CLINICAL: [&str; 13] = [
    "Appointment",
    "Immunization",
    "AllergyIntolerance",
    "MedicationRequest",
    "MedicationStatement",
    "DiagnosticReport",
    "CarePlan",
    "ImagingStudy",
    "Condition",
    "Procedure",
    "Observation",
    "Specimen",
    "Encounter",
];

macro_rules! concepts {
    ($($name:ident = $rule:literal;)+) => {
        /// What a column of that name holds.
        pub(super) mod concept {
            $(pub const $name: &str = $rule;)+
        }
    };
}

concepts! {
    FAMILY = "nachn =family family+name family+nm patient+family pat+family lname ap+1 ape+1 apellido+1 =last patient+last pat+last pt+last legal+last lastname surname sname apellido apellidos paterno+-nombre ap+pat ape+pat appaterno sobrenome nachname familienname nom+famille last+nm last+name";
    FAMILY_2 = "materno ap+mat ape+mat apmaterno family+2 apellido+2 ap+2 ape+2 segundo+apellido seg+apellido";
    GIVEN = "vorna given fname =first first+name first+nm patient+first pat+first pt+first legal+first firstname forename vorname prenom nombres nom+-famille primer+nombre nombre+-comuna+-ciudad+-medico+-calle";
    MIDDLE = "middle mname =mi middlename segundo+nombre";
    FULL_NAME = "姓名 氏名 患者名 name+-user+-file+-class+-school+-mother+-father+-guardian+-spouse+-employer+-contact+-ice fullname nombre+completo nome nom+complet displayname patientenname";
    TITLE = "title+-job tratamiento anrede salutation prefix titel titre";
    SUFFIX = "suffix namenszusatz";
    SEX = "性别 性別 gesch geschl geslacht sex gender sexo geschlecht sexe genero";
    BIRTH = "出生日期 dateofbirth dtnasc 生年月日 birth+-place+-country+-year+-month+-day+-weight+-time+-estimated birthdate bdate dob birthday geburtsdatum geburtstag geburtsdat gebdat geb fec+nac fecha+nac fecha+nacimiento fec+nacimiento fecnac fechanac nac nacimiento+-lugar+-pais nascimento data+nasc dt+nasc datanasc naissance date+naiss";
    DEATH = "death deathdate deathday deceased died dod fallecimiento fec+def fecha+def defuncion obito sterbedatum verstorben todesdatum deces muerte";
    NATIONAL = "natreg 身份证 身份证号 rut =ss run dni nie nif curp cpf ssn nhs national+id cedula cuil insee personalausweis svnr ahv nir rfc";
    RECORD_NO = "mrn pubpid chfid uhid =uid unique+id file+number hospital+number registration+number card+number nhc hc historia+clinica expediente prontuario patientennummer chart medical+record fallnummer ipp";
    PASSPORT = "passport pasaporte passaporte reisepass passeport";
    INSURANCE_NO = "kvnr insurance+number versichertennummer versichertennr poliza cns afiliado";
    IDENTIFIER = "identifier identificador identifiant kennung nif source+value+person npi colegiado colegiatura license licenseno licencia matricula lanr registro";
    HOME_PHONE = "home+phone hm+phone homephone telefono+casa tel+casa telefon+privat fono+casa";
    WORK_PHONE = "work+phone wk+phone biz+phone business+phone workphone office+phone telefono+trabajo tel+trabajo telefon+arbeit";
    PHONE = "电话 联系电话 phone+-emergency+-guardian+-ice+-kin+-employer+-mother+-father+-spouse telephone tel telefono telefone fono telefon telefonnummer tlf";
    MOBILE = "手机 手机号 手机号码 mobile cell wireless celular movil handy cellphone mobil portable";
    EMAIL = "email mail correo e+mail";
    FAX = "fax";
    STREET = "地址 住址 address street direccion calle domicilio endereco adresse strasse straße rua address+1 rue logradouro addr line+1";
    STREET_NO = "street+no numero+casa hausnummer altura";
    CITY = "city ciudad comuna municipio cidade stadt ort ville localidad town village municipality";
    DISTRICT = "county district barrio bairro distrito landkreis county+district";
    STATE = "state+province state+-update+-patient province provincia estado+uf uf bundesland region estado+dir departement";
    POSTAL = "zip postcode postal plz cep codigo+postal cp code+postal postleitzahl";
    COUNTRY = "country pais land pays";
    ACTIVE = "active activo ativo vigente aktiv actif enabled habilitado";
    DELETED = "discarded trashed del+flag deleted archived borrado eliminado excluido geloscht geloescht supprime voided void+-reason+-by validity+to valid+to anulado retired removed baja invalid+-reason valid+until effective+end end+effective";
    MODIFIED = "lastupdated lastupdate write+date updated modified tstamp lastmodified changed last+update update+date update+time updatetime fec+mod fecha+mod fecha+modificacion geandert aktualisiert actualizado alterado modification ultima+actualizacion";
    CODE = "=dx =px code cod cd codigo cie icd cid snomed loinc atc cpt cvx rxnorm icd10 cie10";
    DISPLAY = "display description desc descripcion descricao bezeichnung name nombre nome libelle label text texto title titulo term test analyse analito prueba exam";
    STATUS = "status+-marital+-civil+-smoking+-student+-employment+-bmi+-immigration+-insurance estado+-civil situacao statut zustand state situacion";
    CLASS = "class clase encounterclass patient+class klasse inout in+out";
    KIND = "type tipo typ art kind clase categoria category";
    START = "start begin began started inicio ingreso admission admitted aufnahme beginn von debut admittime admitdate admdate starttime intime arrival arrived entree entrada begindatum startdate starts from+-referral+-referred+-transfer";
    END = "disch end stop stopped ended dischtime dischdate stoptime outtime endtime fin fim alta discharge discharged entlassung ende bis sortie saida enddate ends abated egreso resolved until termino date+dis date+discharge dchdate";
    DATE = "date datetime chartdate charttime visitdate vstdate eventdate orderdate ordertime fecha data datum fec dat time+-zone taken performed recorded measured done authored ordered created+-by drawn toma at dt fch";
    TIME = "time hora hour uhrzeit heure zeit hr";
    VALUE = "value valor result resultado wert messwert ergebnis valeur resultat numeric+value val nval tval";
    UNIT = "unit unidad unidade einheit unite uom";
    NOTE = "note comment nota observacion bemerkung kommentar comentario remark notes";
    REASON = "reason+-void+-retire+-cancel+-stop motivo reasoncode reasondescription grund motif reason+code reason+description";
    DOSE = "dosage dose posologia dosis sig instruction dosierung posologie indicacion indicaciones dosing";
    LOT = "lot lote charge lot+number";
    ORDER = "order orden rank sort preferred principal reihenfolge ordem";
}

/// Vital signs with columns of their own: what they are called, LOINC's code, UCUM's unit.
pub(super) const VITALS: [(&str, &str, &str, &str); 11] = [
    (
        "systolic systole rr+sys sistolica sbp pas bpsys ta+sis pa+sis bps",
        "8480-6",
        "mm[Hg]",
        "Systolic blood pressure",
    ),
    (
        "diastolic diastole rr+dia diastolica dbp pad bpdia ta+dia pa+dia bpd",
        "8462-4",
        "mm[Hg]",
        "Diastolic blood pressure",
    ),
    (
        "temperature temp temperatura temperatur temperature+c korpertemperatur",
        "8310-5",
        "Cel",
        "Body temperature",
    ),
    (
        "pulse pulso puls pouls heart+rate heartrate hr+-id fc frecuencia+cardiaca fcard bpm herzfrequenz",
        "8867-4",
        "/min",
        "Heart rate",
    ),
    (
        "respiration respiratory resp fr frecuencia+respiratoria rr+-id atemfrequenz",
        "9279-1",
        "/min",
        "Respiratory rate",
    ),
    (
        "spo+2 spo osat oxygen saturation saturacion sat+o+2 sato o+2+sat sattigung",
        "59408-5",
        "%",
        "Oxygen saturation",
    ),
    ("weight peso gewicht poids weight+kg bw", "29463-7", "kg", "Body weight"),
    (
        "height talla estatura altura große grosse groesse taille height+cm",
        "8302-2",
        "cm",
        "Body height",
    ),
    ("bmi imc", "39156-5", "kg/m2", "Body mass index"),
    ("head+circumference perimetro+cefalico kopfumfang", "9843-4", "cm", "Head circumference"),
    ("glucose glucosa glycemia glicemia glucemia glukose glycemie", "2339-0", "mg/dL", "Glucose"),
];

/// Systems of codes that a column's own name tells.
pub(super) const SYSTEMS: [(&str, &str); 9] = [
    ("loinc", "http://loinc.org"),
    ("snomed sct", "http://snomed.info/sct"),
    ("icd+9 cie+9 cid+9 icd9 cie9", "http://hl7.org/fhir/sid/icd-9-cm"),
    ("icd+10 cie+10 cid+10 icd10 cie10 cid10", "http://hl7.org/fhir/sid/icd-10"),
    ("atc", "http://www.whocc.no/atc"),
    ("rxnorm rxcui", "http://www.nlm.nih.gov/research/umls/rxnorm"),
    ("cvx", "http://hl7.org/fhir/sid/cvx"),
    ("cpt", "http://www.ama-assn.org/go/cpt"),
    ("ndc", "http://hl7.org/fhir/sid/ndc"),
];

/// What a vocabulary is called in a column that names it, and its URI.
pub(super) const VOCABULARIES: [(&str, &str); 8] = [
    ("SNOMED", "http://snomed.info/sct"),
    ("LOINC", "http://loinc.org"),
    ("RxNorm", "http://www.nlm.nih.gov/research/umls/rxnorm"),
    ("CVX", "http://hl7.org/fhir/sid/cvx"),
    ("ICD10", "http://hl7.org/fhir/sid/icd-10"),
    ("ICD10CM", "http://hl7.org/fhir/sid/icd-10-cm"),
    ("ATC", "http://www.whocc.no/atc"),
    ("UCUM", "http://unitsofmeasure.org"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fall_into_words() {
        let words = |name| Words::of(name).tokens;
        assert_eq!(words("FEC_NAC"), ["fec", "nac"]);
        assert_eq!(words("fechaNacimiento"), ["fecha", "nacimiento"]);
        assert_eq!(words("Año Nac"), words("ano_NAC"));
        assert_eq!(words("icd10_code"), ["icd", "10", "code"]);
    }

    #[test]
    fn rules_know_plurals_and_exceptions() {
        let are = |name, rule| Words::of(name).are(rule);
        assert!(are("mediciones", "medicion") && are("Patienten", "patient"));
        assert!(are("allergies", "allergy") && are("diagnoses", "diagnosis"));
        assert!(are("internacoes", "internacao"));
        assert!(are("BIRTHDATE", concept::BIRTH) && are("fec_nacimiento", concept::BIRTH));
        assert!(!are("birthplace", concept::BIRTH) && !are("birth_country", concept::BIRTH));
        assert!(!are("identity", "id"));
        assert!(are("last_update", concept::MODIFIED) && !are("last_update", concept::FAMILY));
        for name in ["lname", "LName", "Last", "LAST_NM", "last_name", "family", "pat_last"] {
            assert!(are(name, concept::FAMILY), "{name}");
        }
        for name in ["family_size", "last_interacted_with", "FamilyID", "LastVisit"] {
            assert!(!are(name, concept::FAMILY), "{name}");
        }
        assert!(are("FName", concept::GIVEN) && !are("first_visit", concept::GIVEN));
        assert!(are("marital_status", "marital") && !are("marital_status", concept::STATUS));
        assert!(are("HmPhone", concept::HOME_PHONE) && !are("emergency_phone", concept::PHONE));
    }
}

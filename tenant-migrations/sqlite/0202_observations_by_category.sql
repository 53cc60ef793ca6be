CREATE INDEX observations_category ON observations (patient_id, category, effective_at);

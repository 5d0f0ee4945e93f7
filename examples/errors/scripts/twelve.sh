#!/bin/sh
# Twelve responses: one visitor met an error in the hour of 16, four in the hour of 17.
cat <<'RECORDS'
{"time":"2019-05-06 17:24:53","ip":"10.0.186.98","status_code":202}
{"time":"2019-05-06 17:24:54","ip":"10.0.121.67","status_code":301}
{"time":"2019-05-06 17:25:54","ip":"10.0.121.67","status_code":500}
{"time":"2019-05-06 17:26:55","ip":"10.0.121.67","status_code":500}
{"time":"2019-05-07 16:59:55","ip":"10.0.121.67","status_code":502}
{"time":"2019-05-07 17:00:56","ip":"10.0.247.5","status_code":503}
{"time":"2019-05-11 10:24:57","ip":"10.0.182.224","status_code":502}
{"time":"2019-05-11 10:24:58","ip":"10.0.117.193","status_code":401}
{"time":"2019-05-12 10:24:59","ip":"10.0.52.162","status_code":500}
{"time":"2020-01-01 17:24:53","ip":"10.0.186.98","status_code":502}
{"time":"2020-01-01 17:24:54","ip":"10.0.121.67","status_code":301}
{"time":"2020-01-01 17:25:54","ip":"10.0.121.67","status_code":500}
RECORDS

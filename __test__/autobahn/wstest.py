# Runs the fuzzing client of the Autobahn testsuite on Python 2.7: wstest.py PACKAGES SPECIFICATION.
# Writes the ids of the cases that it is going to run as JSON into a file `cases.json` of the output folder:
# the suite itself tells what it has run, not what it has left out.

import json
import os
import site
import sys

packages, specification = sys.argv[1:]
site.addsitedir(packages)
sys.path.insert(0, packages)
sys.argv = ["wstest", "-m", "fuzzingclient", "-s", specification]

import autobahntestsuite.wstest
from autobahntestsuite import case
from autobahntestsuite.caseset import CaseSet

with open(specification) as file:
    spec = json.load(file)
cases = CaseSet(case.CaseSetname, case.CaseBasename, case.Cases, case.CaseCategories, case.CaseSubCategories)
with open(os.path.join(spec["outdir"], "cases.json"), "w") as file:
    json.dump(cases.parseSpecCases(spec), file)

autobahntestsuite.wstest.run()

"""Write the table of tests/test_tools.py into docs/user_guide/tools.md.

Run from the root of the repository, after a change of the tools or of the containers they refuse:

    pip install -e ".[test]" && python tools/make_tool_matrix.py
"""

import runpy

tests = runpy.run_path("tests/test_tools.py")
tests["PAGE"].write_text(tests["page_with_matrix"](), encoding="utf-8")

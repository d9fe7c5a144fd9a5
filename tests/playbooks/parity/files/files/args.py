import os
import sys
print(sys.argv[1:], os.path.basename(sys.executable)[:7])

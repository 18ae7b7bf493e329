import Glibc
import NemoCommands

exit(NemoshellProgram.main())

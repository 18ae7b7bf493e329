import Glibc
import NemoCommands

exit(NemoshellProgram.main(CommandLine.arguments))
